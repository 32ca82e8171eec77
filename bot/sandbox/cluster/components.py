"""The control plane beside Citadel, as far as it holds roots: injector, Galley, Pilot, Mixer, gateways.

Source: helm charts, ``pilot/cmd/sidecar-injector`` and ``galley/pkg/crd/validation``, Istio 1.1 to 1.4.
"""

from bot.sandbox.cluster.insider import Insider
from bot.sandbox.cluster.objects import Json, copy_of, path
from bot.sandbox.cluster.pace import Pace
from bot.sandbox.cluster.processes import Files
from bot.sandbox.cluster.resources import Resource
from bot.sandbox.cluster.serving import WebhookServer
from bot.sandbox.cluster.status import ApiError

_MOMENT = 1.0  # seconds of the mesh between changed files and the patched webhook


class Holder:
    """A process that reads the root once, at its start: Pilot's discovery, Galley's and Mixer's MCP."""

    def __init__(self, name: str, secret: str) -> None:
        self.name = name
        self._secret = secret
        self._root = ""

    def start(self, mounted: Files) -> None:
        """Read the root."""
        self._root = str((mounted.get(self._secret) or {}).get("root-cert.pem") or "")

    def stop(self) -> None:
        """End."""

    def files_changed(self, mounted: Files) -> None:
        """Nothing: the pool was filled at the start."""

    def holds(self) -> str:
        """The root of its start."""
        return self._root


class Patcher:
    """Serves a webhook and keeps its ``caBundle`` equal to the mounted root: injector, Galley for validation.

    With ``reloads`` False it does so at its start only (Galley 1.3.0 to 1.3.3, and for tests).
    """

    def __init__(
        self,
        insider: Insider,
        pace: Pace,
        *,
        secret: str,
        resource: Resource,
        webhook: str,
        server: WebhookServer,
        reloads: bool = True,
    ) -> None:
        self._insider = insider
        self._pace = pace
        self._secret = secret
        self._resource = resource
        self.name = webhook.removeprefix("istio-")
        self.server = server
        self._webhook = webhook
        self._reloads = reloads
        self._root = ""
        self._running = False

    def start(self, mounted: Files) -> None:
        """Read the root and patch the webhook a moment later."""
        self._running = True
        self._take(mounted)

    def stop(self) -> None:
        """End."""
        self._running = False

    def files_changed(self, mounted: Files) -> None:
        """Read again."""
        if self._reloads:
            self._take(mounted)

    def holds(self) -> str:
        """The root it last read."""
        return self._root

    def _take(self, mounted: Files) -> None:
        files = mounted.get(self._secret) or {}
        self._root = str(files.get("root-cert.pem") or "")
        self.server.load(files)
        self._pace.later(_MOMENT, self._patch)

    def _patch(self) -> None:
        found = self._insider.find(self._resource, "", self._webhook)
        if not self._running or found is None or not self._root:
            return
        wanted = _with_bundle(found, self._root)
        if wanted != found:
            try:
                self._insider.update(wanted)
            except ApiError:
                self._pace.later(_MOMENT, self._patch)


def _with_bundle(found: Json, root: str) -> Json:
    wanted: Json = copy_of(found)
    for webhook in wanted.get("webhooks") or []:
        if path(webhook, "clientConfig", "caBundle") != root:
            webhook.setdefault("clientConfig", {})["caBundle"] = root
    return wanted


class Crew:
    """Several processes of one pod as one."""

    def __init__(self, *members: "Holder | Patcher") -> None:
        self.name = members[0].name
        self.server = next((each.server for each in members if isinstance(each, Patcher)), None)
        self._members = members

    def start(self, mounted: Files) -> None:
        """Start all."""
        for member in self._members:
            member.start(mounted)

    def stop(self) -> None:
        """End all."""
        for member in self._members:
            member.stop()

    def files_changed(self, mounted: Files) -> None:
        """Tell all."""
        for member in self._members:
            member.files_changed(mounted)

    def holds(self) -> str:
        """What the first holds: it is the one that reads only at its start."""
        return self._members[0].holds()
