"""Reads the certificates that the mesh's webhooks serve: the other half of what their caBundles promise.

The pods behind a webhook's Service are asked one by one, as the API server may ask any of them.
What cannot be asked is a ServedCertificate with a fault, never an exception. Sources: the Services,
Deployments and flags of Istio's charts 1.0 to 1.5 (sidecarInjectorWebhook, galley, istio-discovery).
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bot.core.certificates import Certificate
from bot.core.components import ENDED
from bot.core.mesh import ObjectRef, Pod, ServedCertificate, Webhook
from bot.edges.kube import convert_pods
from bot.edges.kube.client import KubeClient
from bot.edges.kube.deadline import Deadline
from bot.edges.kube.handshake import served_certificate
from bot.edges.kube.look import Look
from bot.edges.kube.targets import PODS
from bot.edges.kube.translate import cut
from bot.edges.kube.wire import POD_PAGE
from bot.errors import ClusterError, ClusterForbidden, ObjectAbsent

HANDSHAKE_SECONDS = 5.0
"""For one port of one pod; a live server answers within a tenth of a second."""

CONCURRENCY = 8
"""Handshakes at once; a mesh has two to ten such pods."""

SELECTED_BY = {
    "istio-galley": ("istio", "galley"),
    "istio-pilot": ("istio", "pilot"),
    "istio-sidecar-injector": ("istio", "sidecar-injector"),
    "istiod": ("app", "istiod"),
}
"""Which label the charts' Services select their pods by: Services themselves need not be readable."""

PORT_FLAGS = ("--port", "--validation-port", "--httpsAddr")
"""Of the injector, Galley and istiod."""

USUAL_PORTS = (443, 9443, 15017)
"""Of the helm charts, of what istioctl installs since 1.4, and of istiod: tried where no flag says it."""

KNOWN_PORTS = (*USUAL_PORTS, 8443)
"""Of those that a container declares, what may be a webhook's; 8443 is Maistra's."""

NOT_READY = "is not ready, so it gets no requests"
NOBODY = "no ready pod stands behind it"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A pod that is to be asked for a Service."""

    service: str
    pod: Pod

    def told(
        self, *, leaf: Certificate | None = None, fault: str = "", asked: bool = True
    ) -> ServedCertificate:
        return ServedCertificate(
            service=self.service,
            pod=self.pod.ref,
            workload=_workload(self.pod),
            leaf=leaf,
            fault=fault,
            asked=asked,
        )


def read_served(look: Look, webhooks: Sequence[Webhook], *, seconds: float) -> tuple[ServedCertificate, ...]:
    """Ask every ready pod behind the webhooks' Services, `seconds` at most for each port of each.

    A webhook whose caBundle cert-manager fills is served under another CA and is left out.
    """
    services = sorted({each.service for each in webhooks if each.service and not each.injected})
    if not services:
        return ()
    try:
        pods = _pods(look)
    except ClusterError as fault:
        reason = f"its pods could not be listed: {fault.message}"
        return tuple(ServedCertificate(service=each, pod=None, fault=reason) for each in services)
    candidates = [_Candidate(service=s, pod=p) for s in services for p in pods if stands_behind(p, s)]
    with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="kube-served") as pool:
        told = tuple(pool.map(lambda each: _ask(look.client, each, seconds), _asked(candidates)))
    return tuple(sorted((*told, *_left(services, candidates, told)), key=_place))


def _pods(look: Look) -> tuple[Pod, ...]:
    """Every pod beside the control plane: the Services of the mesh's webhooks are in its namespace."""
    found: list[Pod] = []
    look.client.collect(PODS.within(look.namespace), POD_PAGE, convert_pods.pod, into=found)
    return tuple(found)


def stands_behind(pod: Pod, service: str) -> bool:
    """Whether a pod is one that a Service (`namespace/name`) sends requests to."""
    namespace, _, name = service.partition("/")
    label, value = SELECTED_BY.get(name, ("", ""))
    of_that_name = pod.workload in (f"Deployment {name}", f"DaemonSet {name}")
    return pod.ref.namespace == namespace and (of_that_name or bool(label and pod.label(label) == value))


def _workload(pod: Pod) -> ObjectRef | None:
    kind, _, name = pod.workload.partition(" ")
    return ObjectRef(kind=kind, namespace=pod.ref.namespace, name=name) if name else None


def _receives(pod: Pod) -> bool:
    return pod.ready and not pod.deleting


def _asked(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    return [each for each in candidates if _receives(each.pod)]


def _ask(client: KubeClient, candidate: _Candidate, seconds: float) -> ServedCertificate:
    """Try the ports in order until one shows a certificate."""
    pod = candidate.pod
    namespace, _, name = candidate.service.partition("/")
    target = PODS.within(pod.ref.namespace).named(pod.ref.name)
    faults = []
    for port in webhook_ports(pod):
        try:
            leaf = served_certificate(
                client, target, port=port, server_name=f"{name}.{namespace}.svc", deadline=Deadline(seconds)
            )
        except ObjectAbsent:
            return candidate.told(fault="is gone", asked=False)
        except ClusterForbidden as fault:
            return candidate.told(fault=fault.message)
        except ClusterError as fault:
            faults.append((port, fault.message))
        else:
            return candidate.told(leaf=leaf)
    return candidate.told(fault=_in_words(faults))


def _in_words(faults: Sequence[tuple[int, str]]) -> str:
    """Why no port showed a certificate: of one port in full, of several each in short."""
    if len(faults) == 1:
        return cut(f"port {faults[0][0]}: {faults[0][1]}")
    return cut("; ".join(f"port {port}: {message.partition(': ')[0]}" for port, message in faults))


def webhook_ports(pod: Pod) -> tuple[int, ...]:
    """Where its webhook may listen, likeliest first: as a flag says, else as declared, else as is usual."""
    containers = [each for each in pod.containers if not each.is_proxy]
    flagged = tuple(port for each in containers for port in _flagged(each.arguments))
    if flagged:
        return tuple(dict.fromkeys(flagged))
    declared = [port for each in containers for port in each.ports if port in KNOWN_PORTS]
    return tuple(dict.fromkeys((*declared, *USUAL_PORTS)))


def _flagged(arguments: tuple[str, ...]) -> Iterator[int]:
    """`--port=9443`, `--port 9443`, `--httpsAddr=:15017`."""
    for place, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag in PORT_FLAGS:
            said = value if equals else "".join(arguments[place + 1 : place + 2])
            number = said.rpartition(":")[2]
            if number.isdecimal():
                yield int(number)


def _left(
    services: Sequence[str], candidates: Sequence[_Candidate], told: Sequence[ServedCertificate]
) -> Iterator[ServedCertificate]:
    """Pods that get no requests, and Services without any pod that does."""
    for service in services:
        idle = [each for each in candidates if each.service == service and not _receives(each.pod)]
        yield from (each.told(fault=_why_idle(each.pod), asked=False) for each in idle)
        if not any(each.asked for each in told if each.service == service):
            workload = next((_workload(each.pod) for each in idle), None)
            yield ServedCertificate(service=service, pod=None, workload=workload, fault=NOBODY)


def _why_idle(pod: Pod) -> str:
    return "" if pod.deleting or pod.phase in ENDED else NOT_READY


def _place(served: ServedCertificate) -> tuple[str, str]:
    return served.service, served.pod.name if served.pod else ""
