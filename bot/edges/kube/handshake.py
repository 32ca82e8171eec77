"""Looks at the certificate that a pod's port serves: a TLS handshake over a forwarded port.

Nothing is believed here: the certificate is what is to be judged, so it is taken whether it verifies
or not. TLS runs in memory over the API server's stream; no socket is opened to the pod.
"""

import io
import ssl

from bot.core.certificates import Certificate, read_der
from bot.edges.kube.client import KubeClient
from bot.edges.kube.deadline import Deadline
from bot.edges.kube.streams import ForwardedPort, forwarded_port
from bot.edges.kube.targets import Target
from bot.edges.kube.translate import cut
from bot.errors import ClusterRefused, ClusterUnreachable


def served_certificate(
    client: KubeClient, pod: Target, *, port: int, server_name: str, deadline: Deadline
) -> Certificate:
    """The first certificate that a port shows to whoever asks for `server_name`.

    Raises:
        ClusterRefused: nothing listens there, it speaks no TLS, or what it shows is no certificate.
        ClusterForbidden, ObjectAbsent, ClusterUnreachable.
    """
    with forwarded_port(client, pod, port=port, deadline=deadline) as forwarded:
        der = _shaken(forwarded, server_name)
    if not der:
        raise ClusterRefused("it showed no certificate")
    found = read_der(der)
    if isinstance(found, Certificate):
        return found
    raise ClusterRefused("it showed a certificate that cannot be read")


def _shaken(forwarded: ForwardedPort, server_name: str) -> bytes | None:
    """The peer's certificate in DER, after a whole handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = _context().wrap_bio(incoming, outgoing, server_hostname=server_name)
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            _exchange(forwarded, incoming, outgoing)
        except ssl.SSLError as fault:
            raise ClusterRefused(f"the TLS handshake failed: {cut(fault.reason or str(fault))}") from None
        else:
            return tls.getpeercert(binary_form=True)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # A short key or an old signature is a finding, not a reason not to look.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


def _exchange(forwarded: ForwardedPort, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
    if waiting := outgoing.read():
        forwarded.send(waiting)
    heard = forwarded.read(io.DEFAULT_BUFFER_SIZE)
    if not heard:
        raise ClusterUnreachable("the connection ended in the middle of the TLS handshake")
    incoming.write(heard)
