"""Asks every proxy which certificates it has loaded, some at once, each and all within a time.

By `pilot-agent request GET certs` in the proxy's container, which every Istio since 1.0.8 has, also
the images without a shell; else by port 15000 through a port-forward. A proxy that cannot be asked
is a Proxy with a fault, never an exception.
"""

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from bot.core.components import ENDED
from bot.core.mesh import Pod, Proxy
from bot.core.versions import version_of_image
from bot.edges.kube import convert_pods
from bot.edges.kube.certs_page import CertsPage, Loaded
from bot.edges.kube.client import KubeClient
from bot.edges.kube.deadline import Deadline
from bot.edges.kube.streams import get_from_pod, run_in_pod
from bot.edges.kube.targets import PODS, Target
from bot.edges.kube.translate import cut, forbidden_beyond
from bot.edges.kube.wire import POD
from bot.errors import ClusterError, ClusterForbidden, ClusterRefused, ObjectAbsent

PROXY_SECONDS = 10.0
"""For one proxy, all ways together; and as long again to see whether its pod was replaced."""

TOTAL_SECONDS = 600.0
"""For all proxies of a look, with all that is asked about them: 5,000 at 16 at once take about 30 s when all answer."""

ADMIN_PORT = 15000
COMMAND = ("pilot-agent", "request", "GET", "certs")

EXEC, FORWARD = "exec", "portforward"

GONE = "is gone"


class _Ways:
    """Which ways are not worth trying any more: what RBAC forbids once, it forbids in the whole namespace."""

    def __init__(self) -> None:
        self._barred: dict[tuple[str, str], str] = {}

    def barred(self, way: str, pod: Pod) -> str:
        """Why this pod need not be asked this way, about this pod; empty while it is worth trying."""
        reason = self._barred.get((way, pod.ref.namespace))
        return f"may not use {_target(pod).under(way)}: {reason}" if reason else ""

    def remembered(self, way: str, pod: Pod, fault: ClusterForbidden) -> str:
        """Remember what holds for others too; the same, short enough to stand beside the other way's."""
        if reason := forbidden_beyond(fault):
            self._barred[way, pod.ref.namespace] = reason
        return self.barred(way, pod) or fault.message


class Probe:
    """Asks the proxies of one look."""

    def __init__(
        self,
        client: KubeClient,
        *,
        concurrency: int,
        proxy_seconds: float = PROXY_SECONDS,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        self._client = client
        self._concurrency = concurrency
        self._proxy_seconds = proxy_seconds
        self._total = Deadline(total_seconds)
        self._ways = _Ways()

    def ask_all(self, pods: Sequence[Pod]) -> tuple[Proxy, ...]:
        """Ask each pod's proxy; the answers are in the order of the pods."""
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="kube-probe") as pool:
            return tuple(pool.map(self._proxy, pods))

    def _proxy(self, pod: Pod) -> Proxy:
        if pod.deleting or pod.phase in ENDED:
            return _told(pod, asked=False)
        if pod.phase != "Running":
            return _told(pod, fault=f"the pod is {pod.phase or 'Pending'}")
        try:
            return _told(pod, loaded=self._loaded(pod))
        except ClusterError as fault:
            return self._again(pod, fault)

    def _again(self, pod: Pod, fault: ClusterError) -> Proxy:
        """A pod that failed may have been replaced since it was listed: look once more, by uid."""
        try:
            now = convert_pods.pod(self._client.get(_target(pod), POD, deadline=self._deadline()))
        except ObjectAbsent:
            return _told(pod, asked=False, fault=GONE)
        except ClusterError:
            return _told(pod, fault=fault.message)
        if now.deleting or now.phase in ENDED or now.proxy is None:
            return _told(now, asked=False)
        if now.uid == pod.uid:
            return _told(pod, fault=fault.message)
        try:
            return _told(now, loaded=self._loaded(now))
        except ClusterError as second:
            return _told(now, fault=second.message)

    def _deadline(self) -> Deadline:
        """Of one proxy, within that of all.

        Raises:
            ClusterUnreachable: that of all is past.
        """
        return Deadline(min(self._proxy_seconds, self._total.left()))

    def _loaded(self, pod: Pod) -> Loaded:
        """Ask by exec, else by port-forward.

        Raises:
            ClusterError: neither gave a page.
        """
        deadline = self._deadline()
        by_exec = self._by_exec(pod, deadline)
        if isinstance(by_exec, Loaded):
            return by_exec
        by_forward = self._by_forward(pod, deadline)
        if isinstance(by_forward, Loaded):
            return by_forward
        raise ClusterRefused(cut(f"{by_exec}; {by_forward}"))

    def _by_exec(self, pod: Pod, deadline: Deadline) -> Loaded | str:
        """The page; a sentence instead when another way should be tried."""
        if barred := self._ways.barred(EXEC, pod):
            return barred
        name = pod.proxy.name if pod.proxy else ""
        try:
            return _read(
                run_in_pod(self._client, _target(pod), container=name, command=COMMAND, deadline=deadline)
            )
        except ClusterForbidden as fault:
            return self._ways.remembered(EXEC, pod, fault)
        except ClusterRefused as fault:
            return fault.message

    def _by_forward(self, pod: Pod, deadline: Deadline) -> Loaded | str:
        if barred := self._ways.barred(FORWARD, pod):
            return barred
        try:
            return _read(
                get_from_pod(self._client, _target(pod), port=ADMIN_PORT, path="/certs", deadline=deadline)
            )
        except ClusterForbidden as fault:
            return self._ways.remembered(FORWARD, pod, fault)
        except ClusterRefused as fault:
            return fault.message


def _target(pod: Pod) -> Target:
    return PODS.within(pod.ref.namespace).named(pod.ref.name)


def _read(answer: Generator[bytes, None, None]) -> Loaded:
    """Read an answer until the page is complete; the rest of the stream is not waited for."""
    page = CertsPage()
    with closing(answer) as pieces:
        for piece in pieces:
            page.feed(piece)
            if page.complete:
                break
    return page.result()


def _told(pod: Pod, *, loaded: Loaded | None = None, fault: str = "", asked: bool = True) -> Proxy:
    told = loaded or Loaded(fault=fault)
    return Proxy(
        pod=pod,
        version=version_of_image(pod.proxy.image) if pod.proxy else "",
        roots=told.roots,
        leaves=told.leaves,
        fault=told.fault,
        asked=asked,
    )
