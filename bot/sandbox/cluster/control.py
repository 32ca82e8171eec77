"""The sandbox's own endpoints below ``/sandbox/``: faults on order, the audit log, the truth.

No token: the server listens on the loopback only, and everything here is a stand-in.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bot.sandbox.cluster.faults import fault_of
from bot.sandbox.cluster.kubelet import Trouble
from bot.sandbox.cluster.objects import Json
from bot.sandbox.cluster.proxies import Oddity
from bot.sandbox.cluster.rbac import Ban
from bot.sandbox.cluster.serving import Flaw
from bot.sandbox.cluster.status import ApiError

if TYPE_CHECKING:
    from bot.sandbox.cluster.standin import ClusterStandIn


class Control:
    """Answers ``/sandbox/<word>``."""

    def __init__(self, cluster: "ClusterStandIn") -> None:
        self._cluster = cluster
        self._words: dict[tuple[str, str], Callable[[Json], Any]] = {
            ("GET", "audit"): lambda _: cluster.audit.records(),
            ("GET", "truth"): lambda _: cluster.world.records(),
            ("POST", "fault"): lambda body: cluster.faults.add(fault_of(body)),
            ("DELETE", "fault"): lambda _: cluster.faults.clear(),
            ("POST", "forbid"): lambda body: cluster.bot.bans.append(Ban(**body)),
            ("DELETE", "forbid"): lambda _: cluster.bot.bans.clear(),
            ("POST", "clock"): self._set_clock,
            ("POST", "rollout"): self._set_trouble,
            ("POST", "proxy"): self._set_oddity,
            ("POST", "webhook"): lambda body: cluster.world.spoil_server(
                body["component"], Flaw(body["flaw"])
            ),
            ("POST", "compact"): lambda _: cluster.store.compact(),
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Carry out one word of control."""
        act = self._words.get((request.method, request.match_info["tail"].strip("/")))
        if act is None:
            known = ", ".join(f"{method} /sandbox/{word}" for method, word in self._words)
            return web.json_response({"error": f"known: {known}"}, status=404)
        try:
            body = json.loads(await request.read() or b"{}")
            return web.json_response(act(body))
        except (ApiError, ValueError, KeyError, TypeError) as error:
            return web.json_response({"error": str(error)}, status=400)

    def _set_clock(self, body: Json) -> None:
        self._cluster.skew = timedelta(seconds=body["skew_seconds"])

    def _set_trouble(self, body: Json) -> None:
        trouble = body.get("trouble")
        self._cluster.trouble(body["app"], Trouble(trouble) if trouble else None)

    def _set_oddity(self, body: Json) -> None:
        oddity = body.get("oddity")
        self._cluster.world.set_oddity(body["workload"], Oddity(oddity) if oddity else None)
