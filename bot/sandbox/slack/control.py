"""The control API: what the page and the headless driver use to see everything and to act as anybody.

JSON in and out under /sandbox. Not a part of Slack. Guarded in guard.py, because it lets whoever reaches it
approve things.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from bot.sandbox.slack.acting import Acting
from bot.sandbox.slack.errors import CannotAct
from bot.sandbox.slack.faults import ANSWERS, MethodFault
from bot.sandbox.slack.record import record_of, state_of_world
from bot.sandbox.slack.shapes import Json
from bot.sandbox.slack.socket_mode import GOODBYES, SocketMode
from bot.sandbox.slack.world import World

LONGEST_POLL = 25.0  # seconds; below every usual idle time-out


class Control:
    """The routes under /sandbox."""

    def __init__(self, world: World, socket: SocketMode, acting: Acting) -> None:
        self._world = world
        self._socket = socket
        self._acting = acting

    def routes(self) -> list[web.RouteDef]:
        """What there is."""
        return [
            web.get("/sandbox/state", self._state),
            web.get("/sandbox/record", self._record),
            web.get("/sandbox/file/{file_id}", self._file),
            web.post("/sandbox/command", self._act(self._command)),
            web.post("/sandbox/press", self._act(self._press)),
            web.post("/sandbox/submit", self._act(self._submit)),
            web.post("/sandbox/close", self._act(self._close)),
            web.post("/sandbox/home", self._act(self._home)),
            web.post("/sandbox/fault", self._act(self._fault)),
            web.post("/sandbox/change", self._act(self._change)),
        ]

    async def _state(self, request: web.Request) -> web.Response:
        since, seconds = request.query.get("since"), float(request.query.get("seconds", LONGEST_POLL))
        if since is not None:
            await self._world.change_after(int(since), seconds=min(seconds, LONGEST_POLL))
        return web.json_response(state_of_world(self._world, connections=self._socket.connections))

    async def _record(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return web.json_response(record_of(self._world))

    async def _file(self, request: web.Request) -> web.Response:
        file = self._world.files.get(request.match_info["file_id"])
        if file is None or file.content is None:
            raise web.HTTPNotFound
        quiet = {ord(sign): "_" for sign in '"\\\r\n'}
        headers = {
            "Content-Disposition": f'attachment; filename="{file.name.translate(quiet)}"',
            "X-Content-Type-Options": "nosniff",
        }
        return web.Response(body=file.content, content_type="application/octet-stream", headers=headers)

    def _act(
        self, handler: Callable[[Json], Awaitable[Json]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def respond(request: web.Request) -> web.Response:
            try:
                body = await request.json()
                return web.json_response(await handler(body))
            except CannotAct as reason:
                return web.json_response({"ok": False, "error": str(reason)}, status=409)
            except (LookupError, TypeError, ValueError) as mistake:
                error = f"bad request: {type(mistake).__name__} {mistake}"
                return web.json_response({"ok": False, "error": error}, status=400)

        return respond

    async def _command(self, body: Json) -> Json:
        options = _chosen(body, "channel", "forged", "wait")
        return (await self._acting.command(body["user"], body["text"], **options)).to_record()

    async def _press(self, body: Json) -> Json:
        options = _chosen(body, "channel", "ts", "view_id", "block_id", "value", "values", "forged", "wait")
        return (await self._acting.press(body["user"], body["action_id"], **options)).to_record()

    async def _submit(self, body: Json) -> Json:
        options = _chosen(body, "view_id", "forged", "wait")
        return (await self._acting.submit(body["user"], body["values"], **options)).to_record()

    async def _close(self, body: Json) -> Json:
        return (await self._acting.close(body["user"], **_chosen(body, "view_id"))).to_record()

    async def _home(self, body: Json) -> Json:
        return (await self._acting.home(body["user"], **_chosen(body, "wait"))).to_record()

    async def _fault(self, body: Json) -> Json:
        match body["kind"]:
            case "method":
                self._order(body)
            case "socket" if body["how"] in GOODBYES:
                return {"ok": True, "connections": await self._socket.say_goodbye(body["how"])}
            case "duplicate":
                self._world.faults.duplicate_envelopes += int(body.get("times", 1))
            case "lose":
                self._world.faults.lose_envelopes += int(body.get("times", 1))
            case "replay":
                return {"ok": True, "outcome": await self._replay(int(body["index"]))}
            case "delete_message":
                self._delete(body["channel"], body["ts"])
            case "clear":
                self._world.faults.clear()
            case kind:
                raise CannotAct(f"no such fault: {kind}")
        return {"ok": True}

    def _order(self, body: Json) -> None:
        if body["answer"] not in ANSWERS:
            raise CannotAct(f"no such answer: {body['answer']}; there are {', '.join(ANSWERS)}")
        options = _chosen(body, "retry_after", "error", "after_effect")
        fault = MethodFault(answer=body["answer"], **options)
        self._world.faults.order(body["method"], fault, times=int(body.get("times", 1)))

    async def _replay(self, index: int) -> str:
        """Send a payload of the record's `deliveries` once more, in an envelope of its own."""
        old = self._world.deliveries[index]
        delivery, _ = await self._socket.deliver(old.kind, old.payload, accepts_response_payload=False)
        return delivery.outcome

    def _delete(self, channel: str, ts: str) -> None:
        message = self._world.conversations.find(channel, ts)
        if message is None:
            raise CannotAct(f"there is no message {ts} in {channel}")
        self._world.conversations.delete(message)
        self._world.changed()

    async def _change(self, body: Json) -> Json:
        workspace, changes = self._world.workspace, _tuples(body["set"])
        match body["kind"]:
            case "person":
                workspace.change_person(body["id"], **changes)
            case "channel":
                workspace.change_channel(body["id"], **changes)
            case "group":
                workspace.change_group(body["id"], **changes)
            case kind:
                raise CannotAct(f"no such kind: {kind}; there are person, channel, group")
        self._world.changed()
        return {"ok": True}


def _chosen(body: Json, *names: str) -> dict[str, Any]:
    return {name: body[name] for name in names if body.get(name) is not None}


def _tuples(changes: Json) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()}
