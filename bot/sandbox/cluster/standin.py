"""The stand-in as one thing to start and stop: objects, API server, mesh."""

import json
import secrets
from datetime import timedelta
from pathlib import Path
from random import Random

from aiohttp import web

from bot.sandbox.cluster.age import Age
from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.audit import Audit
from bot.sandbox.cluster.control import Control
from bot.sandbox.cluster.faults import Faults
from bot.sandbox.cluster.kubelet import Trouble
from bot.sandbox.cluster.objects import Json, utc_now
from bot.sandbox.cluster.pace import Pace
from bot.sandbox.cluster.rbac import Rule, User, bot_rules
from bot.sandbox.cluster.registry import Registry
from bot.sandbox.cluster.resources import of_kind
from bot.sandbox.cluster.scene import Scene, build
from bot.sandbox.cluster.server import Front
from bot.sandbox.cluster.store import Store
from bot.sandbox.cluster.streams import Streams
from bot.sandbox.cluster.world import World

SPEED = 8.0  # a whole rotation of the default scene converges in some 20 s
_GRACE = 0.5  # seconds that open connections get at the end


class ClusterStandIn:
    """A cluster with a Citadel mesh behind a Kubernetes API on the loopback.

    Everything but ``start`` and ``stop`` is to be used in the event loop's thread; see ``running.py`` for
    other threads. ``rules`` replace what the shipped manifests allow the bot.
    """

    def __init__(
        self, scene: Scene | None = None, *, speed: float = SPEED, rules: tuple[Rule, ...] | None = None
    ) -> None:
        self.scene = scene or Scene()
        self.store = Store()
        self.audit = Audit()
        self.faults = Faults()
        self.bot = self._bot(rules)
        self.url = ""
        self.age = Age(self.scene.kubernetes, self.scene.citadel_version)
        self._registry = Registry(self.store, now=utc_now, random=Random(), age=self.age)
        self.api = Api(self._registry, audit=self.audit, faults=self.faults, age=self.age)
        self._pace = Pace(speed, Random(self.scene.seed))
        self._tokens = {self._token(): self.bot, self._token(): User(name="system:admin", master=True)}
        self.world, self._front = self._build()
        self._runner: web.AppRunner | None = None

    def _bot(self, rules: tuple[Rule, ...] | None) -> User:
        if rules is None:
            rules = bot_rules(system=self.scene.system)
        return User(name=f"system:serviceaccount:{self.scene.home}:rootkeeper", rules=rules)

    @staticmethod
    def _token() -> str:
        return f"sandbox-{secrets.token_hex(16)}"

    def _build(self) -> tuple[World, Front]:
        built = build(self.scene)
        for value in built.objects:
            self.store.put(of_kind(value["apiVersion"], value["kind"]), self.age.dressed(value))
        world = World(self.api, self._pace, built.habits)
        front = Front(self.api, users=self._tokens, stream=self._stream, age=self.age)
        return world, front

    async def _stream(self, request: web.Request, read: object) -> web.StreamResponse:
        world = self.world
        streams = Streams(
            api=self.api, proxy_of=world.proxy_of, server_of=world.server_of, reply=self._front.reply
        )
        return await streams.answer(request, read)  # type: ignore[arg-type]

    async def start(self, port: int = 0) -> None:
        """Serve on 127.0.0.1 (any free port by default) and let the mesh live."""
        app = self._front.application(Control(self).answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        host, bound = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{bound}"
        self.world.start()

    async def stop(self) -> None:
        """End the mesh, then the server; open answers are cut."""
        self.world.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def skew(self) -> timedelta:
        """How far the server's clock (its ``Date`` header) is ahead."""
        return self._front.skew

    @skew.setter
    def skew(self, value: timedelta) -> None:
        self._front.skew = value

    def trouble(self, app: str, trouble: Trouble | None) -> None:
        """Make pods that start from now on fail; ``app`` is the value of their label ``istio`` or ``app``."""
        self.world.kubelet.troubles.pop(app, None)
        if trouble is not None:
            self.world.kubelet.troubles[app] = trouble

    def kubeconfig(self, *, context: str = "sandbox", admin: bool = False) -> Json:
        """A kubeconfig with one context and the bot's token, or one that may do everything."""
        token = next(key for key, user in self._tokens.items() if user.master is admin)
        who = "admin" if admin else "rootkeeper"
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": context, "cluster": {"server": self.url}}],
            "users": [{"name": who, "user": {"token": token}}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": who}}],
            "current-context": context,
        }

    def write_kubeconfig(self, path: Path, *, context: str = "sandbox", admin: bool = False) -> Path:
        """The same as a file (JSON, which is YAML, too), readable by its owner only."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(self.kubeconfig(context=context, admin=admin), indent=1) + "\n")
        return path
