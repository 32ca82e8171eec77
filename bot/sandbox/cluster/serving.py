"""What a webhook shows to the API server: real TLS with the mounted certificate as its process loaded it.

Source: ``pilot/pkg/kube/inject/webhook.go`` and ``galley/pkg/crd/validation/webhook.go``, Istio 1.1 to 1.4. TLS
runs in memory, over the bytes of a port-forward.
"""

import base64
import contextlib
import ssl
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from bot.sandbox.cluster import workloads
from bot.sandbox.cluster.certificates import (
    LEAF_LIFETIME,
    Authority,
    load_authority,
    new_key,
    pem_of,
    root_certificate,
)
from bot.sandbox.cluster.objects import Json, utc_now

PORT = 443  # where the charts of helm have both webhooks listen
_FLAGS = ("--port=", "--validation-port=")


class Flaw(StrEnum):
    """What may be wrong with a webhook's server until its pod is restarted."""

    EXPIRED = "expired"  # it never loaded what Citadel renewed (istio/istio #17718)
    FOREIGN = "foreign"  # a certificate that another CA of the same name signed
    REFUSES = "refuses"  # nobody listens
    HANGS = "hangs"  # takes the connection and says nothing


class Talk(Protocol):
    """The pod's side of one forwarded connection."""

    async def hear(self, data: bytes) -> bytes:
        """Take bytes and give the answer to them, if there is one yet."""


class Handshake:
    """A TLS server's side of one connection; what comes after the handshake is not answered."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def hear(self, data: bytes) -> bytes:
        """Go on with the handshake."""
        self._incoming.write(data)
        with contextlib.suppress(ssl.SSLError):  # it wants more, or has put an alert into what goes out
            self._tls.do_handshake()
        return self._outgoing.read()


class Silence:
    """A connection that is taken and never answered."""

    async def hear(self, data: bytes) -> bytes:
        """Say nothing."""
        del data
        return b""


class WebhookServer:
    """The listening side of the injector or of Galley."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.flaw: Flaw | None = None
        self._files: Json = {}
        self._context: ssl.SSLContext | None = None

    def load(self, files: Json) -> None:
        """Take key and certificate of a mounted secret; a process with a flaw does not look again."""
        if self.flaw is None:
            self._files, self._context = files, None

    def spoil(self, flaw: Flaw, files: Json) -> None:
        """Have a flaw from now on; ``files`` are what it shows if that is what is wrong."""
        self._files, self._context = files or self._files, None
        self.flaw = flaw

    def accept(self) -> Talk | None:
        """Begin a connection; None where nobody listens."""
        if self.flaw is Flaw.HANGS:
            return Silence()
        if self.flaw is Flaw.REFUSES or not self._files.get("cert-chain.pem"):
            return None
        self._context = self._context or _context(self._files)
        return Handshake(self._context)


def _context(files: Json) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as directory:  # the library reads keys from files only
        chain, key = Path(directory) / "cert-chain.pem", Path(directory) / "key.pem"
        for path in (chain, key):
            path.write_bytes(base64.b64decode(files[path.name]))
        context.load_cert_chain(chain, key)
    return context


def port_of(container: Json) -> int:
    """Where a webhook listens: as its flag says, else on the charts' port."""
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    told = [int(word.partition("=")[2]) for word in words if word.startswith(_FLAGS)]
    return told[0] if told else PORT


def spoiled(flaw: Flaw, ca: Json, *, namespace: str, account: str) -> Json:
    """The files that a server with such a flaw shows; nothing where that is not what is wrong.

    ``ca`` is the data of the CA secret.
    """
    if flaw not in (Flaw.EXPIRED, Flaw.FOREIGN):
        return {}
    now = utc_now()
    real = load_authority(base64.b64decode(ca["ca-cert.pem"]), base64.b64decode(ca["ca-key.pem"]), now=None)
    expired = flaw is Flaw.EXPIRED
    return workloads.issued(
        real if expired else _namesake(real),
        namespace=namespace,
        account=account,
        trust_domain="cluster.local",
        now=now - LEAF_LIFETIME - timedelta(days=3) if expired else now,
        key_number=0,
    )


def _namesake(real: Authority) -> Authority:
    """A CA with the same subject and another key."""
    key, root = new_key(), real.certificate
    certificate = root_certificate(
        key, root.subject, not_before=root.not_valid_before_utc, not_after=root.not_valid_after_utc
    )
    return Authority(bundle=pem_of(certificate), certificate=certificate, key=key)
