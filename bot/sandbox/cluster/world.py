"""The mesh at work: which processes run in which pods, and what each truly holds."""

from dataclasses import asdict, dataclass, field

from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.certificates import first_of
from bot.sandbox.cluster.citadel import RATE, Citadel, Options
from bot.sandbox.cluster.components import Crew, Holder, Patcher
from bot.sandbox.cluster.deployments import DeploymentController
from bot.sandbox.cluster.insider import Insider
from bot.sandbox.cluster.kubelet import Kubelet
from bot.sandbox.cluster.namespaces import NamespaceController
from bot.sandbox.cluster.objects import Json, labels_of, namespace_of, path, stamp
from bot.sandbox.cluster.pace import Pace
from bot.sandbox.cluster.processes import Process
from bot.sandbox.cluster.proxies import Envoy, Oddity, proxy_container, serial_text
from bot.sandbox.cluster.resources import MUTATING_WEBHOOKS, SECRETS, VALIDATING_WEBHOOKS
from bot.sandbox.cluster.serving import Flaw, WebhookServer, port_of, spoiled
from bot.sandbox.cluster.versions import older, root_lifetime
from bot.sandbox.cluster.workloads import secret_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What the objects do not tell: how this mesh behaves."""

    contexts: int = 3  # TLS contexts of a sidecar, each an entry of /certs
    rate: float = RATE
    webhooks_reload: bool = True
    oddities: dict[str, Oddity] = field(default_factory=dict)  # by "namespace/serviceaccount"
    flaws: dict[str, Flaw] = field(
        default_factory=dict
    )  # of webhook servers at the beginning, by label "istio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What one process holds in memory."""

    namespace: str
    pod: str
    process: str
    serial: str
    not_before: str
    not_after: str


class World:
    """All controllers and processes over one API."""

    def __init__(self, api: Api, pace: Pace, habits: Habits) -> None:
        self.habits = habits
        self._api = api
        self._pace = pace
        self._beginning = True
        manager = "kube-controller-manager"
        controllers = Insider(api, user=f"system:{manager}", manager=manager)
        self.kubelet = Kubelet(Insider(api, user="system:node:node-1", manager="kubelet"), pace, self._cast)
        self._deployments = DeploymentController(controllers, pace)
        self._namespaces = NamespaceController(controllers, pace)

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self.kubelet.start()
        self._beginning = False
        for component, flaw in self.habits.flaws.items():
            self.spoil_server(component, flaw)
        self._deployments.start()
        self._namespaces.start()

    def stop(self) -> None:
        """End everything that runs."""
        self.kubelet.stop()
        self._pace.stop()

    def proxy_of(self, uid: str) -> Envoy | None:
        """The sidecar in a pod, if it runs."""
        return next((each for each in self.kubelet.processes(uid) if isinstance(each, Envoy)), None)

    def server_of(self, uid: str) -> WebhookServer | None:
        """The webhook's server in a pod, if one runs."""
        processes = self.kubelet.processes(uid)
        return next((each.server for each in processes if isinstance(each, Crew | Patcher)), None)

    def spoil_server(self, component: str, flaw: Flaw) -> None:
        """Give the running webhook servers of a component a flaw; a restart takes it away."""
        insider = Insider(self._api, user="system:admin", manager="sandbox")
        for namespace, _, processes in self.kubelet.running():
            for process in processes:
                server = process.server if isinstance(process, Crew | Patcher) else None
                if server is not None and process.name == component:
                    ca = insider.find(SECRETS, namespace, "istio-ca-secret") or {}
                    account = f"istio-{component}-service-account"
                    files = spoiled(flaw, ca.get("data") or {}, namespace=namespace, account=account)
                    server.spoil(flaw, files)

    def citadels(self) -> list[Citadel]:
        """The Citadel processes."""
        return [one for _, _, all_ in self.kubelet.running() for one in all_ if isinstance(one, Citadel)]

    def truths(self) -> list[Truth]:
        """What every process holds, observable or not."""
        return [
            _truth(namespace, pod, process)
            for namespace, pod, processes in self.kubelet.running()
            for process in processes
        ]

    def records(self) -> list[Json]:
        """The same as JSON values."""
        return [asdict(each) for each in self.truths()]

    def set_oddity(self, workload: str, oddity: Oddity | None) -> None:
        """Give the sidecars of ``namespace/serviceaccount`` an oddity, or take it."""
        if oddity is None:
            self.habits.oddities.pop(workload, None)
        else:
            self.habits.oddities[workload] = oddity
        for _, _, processes in self.kubelet.running():
            for process in processes:
                if isinstance(process, Envoy) and process.workload == workload:
                    process.oddity = oddity

    def _cast(self, pod: Json) -> tuple[Process, ...]:
        processes = []
        if main := self._main(pod):
            processes.append(main)
        if sidecar := proxy_container(pod):
            processes.append(self._sidecar(pod, sidecar))
        return tuple(processes)

    def _sidecar(self, pod: Json, container: Json) -> Envoy:
        account = pod["spec"].get("serviceAccountName", "default")
        workload = f"{namespace_of(pod)}/{account}"
        return Envoy(
            self._pace,
            version=_tag(container),
            workload=workload,
            contexts=self.habits.contexts,
            oddity=self.habits.oddities.get(workload),
        )

    def _main(self, pod: Json) -> Process | None:
        secret = secret_name(pod["spec"].get("serviceAccountName", "default"))
        label = labels_of(pod).get("istio", "")
        match label:
            case "citadel":
                insider = self._member(pod, "istio_ca")
                return Citadel(insider, self._pace, self._citadel_options(pod))
            case "pilot" | "mixer":
                return Holder(label, secret)
            case "galley":
                reloads = not _galley_is_deaf(pod)
                patcher = self._patcher(pod, secret, reloads=reloads)
                return Crew(Holder(label, secret), patcher)
            case "sidecar-injector":
                return self._patcher(pod, secret, reloads=True)
            case _:
                return None

    def _member(self, pod: Json, manager: str) -> Insider:
        account = pod["spec"].get("serviceAccountName", "default")
        user = f"system:serviceaccount:{namespace_of(pod)}:{account}"
        return Insider(self._api, user=user, manager=manager)

    def _patcher(self, pod: Json, secret: str, *, reloads: bool) -> Patcher:
        validating = labels_of(pod)["istio"] == "galley"
        return Patcher(
            self._member(pod, "galley" if validating else "sidecar-injector"),
            self._pace,
            secret=secret,
            resource=VALIDATING_WEBHOOKS if validating else MUTATING_WEBHOOKS,
            webhook="istio-galley" if validating else "istio-sidecar-injector",
            server=WebhookServer(port_of(pod["spec"]["containers"][0])),
            reloads=reloads and self.habits.webhooks_reload,
        )

    def _citadel_options(self, pod: Json) -> Options:
        container = _container(pod, "citadel") or pod["spec"]["containers"][0]
        arguments = dict(
            each.lstrip("-").partition("=")[::2] for each in container.get("args", []) if each[:1] == "-"
        )
        environment = {each["name"]: each.get("value", "") for each in container.get("env", [])}
        interval = environment.get("CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL", "1h")
        return Options(
            namespace=arguments.get("citadel-storage-namespace", namespace_of(pod)),
            version=_tag(container),
            trust_domain=arguments.get("trust-domain") or "cluster.local",
            self_signed=arguments.get("self-signed-ca") == "true",
            root_lifetime=root_lifetime(_tag(container)),
            check_interval=_go_seconds(interval),
            rate=self.habits.rate,
            resumed=self._beginning,
        )


def _truth(namespace: str, pod: str, process: Process) -> Truth:
    root = first_of(process.holds())
    return Truth(
        namespace=namespace,
        pod=pod,
        process=process.name,
        serial=serial_text(root) if root else "",
        not_before=stamp(root.not_valid_before_utc) if root else "",
        not_after=stamp(root.not_valid_after_utc) if root else "",
    )


def _container(pod: Json, name: str) -> Json | None:
    every = [*pod["spec"]["containers"], *(path(pod, "spec", "initContainers") or [])]
    return next((each for each in every if each["name"] == name), None)


def _tag(container: Json) -> str:
    return str(container["image"]).rpartition(":")[2]


def _galley_is_deaf(pod: Json) -> bool:
    version = _tag(_container(pod, "galley") or pod["spec"]["containers"][0])
    return not older(version, "1.3.0") and older(version, "1.3.4")


def _go_seconds(text: str) -> float:
    """A Go duration of one unit, as the charts write them."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0}
    return float(text[:-1]) * units[text[-1]] if text[-1:] in units else float(text or 0)
