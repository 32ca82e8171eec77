"""The Web API: which methods there are, who may call them how often, and how an answer looks.

A call is judged in Slack's order: known method, token, scope, rate limit, then the method itself. Every
answer is recorded without its token. `METHODS` is the whole list; anything else is "unknown_method".
"""

import asyncio
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from bot.sandbox.slack import chat, dialogs, files, people
from bot.sandbox.slack.calls import Arguments
from bot.sandbox.slack.errors import SlackError
from bot.sandbox.slack.faults import MethodFault
from bot.sandbox.slack.shapes import Json
from bot.sandbox.slack.workspace import APP_ID
from bot.sandbox.slack.world import ApiCall, World

Handler = Callable[[World, Arguments], Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A Web API method: what it needs and how often it may be called."""

    handler: Handler
    tier: str
    scope: str | None = None
    app_level: bool = False


def open_connection(world: World, args: Arguments) -> Json:  # noqa: ARG001
    """apps.connections.open: a WebSocket URL that is good once."""
    ticket = secrets.token_hex(16)
    world.tickets.add(ticket)
    return {"url": f"{world.url.replace('http', 'ws', 1)}/link/?ticket={ticket}&app_id={APP_ID}"}


METHODS = {
    "apps.connections.open": Method(handler=open_connection, tier="tier3", app_level=True),
    "auth.test": Method(handler=people.auth_test, tier="special"),
    "bots.info": Method(handler=people.bots_info, tier="tier3", scope="users:read"),
    "chat.delete": Method(handler=chat.delete, tier="tier3", scope="chat:write"),
    "chat.getPermalink": Method(handler=chat.get_permalink, tier="special"),
    "chat.postEphemeral": Method(handler=chat.post_ephemeral, tier="tier4", scope="chat:write"),
    "chat.postMessage": Method(handler=chat.post_message, tier="per channel", scope="chat:write"),
    "chat.update": Method(handler=chat.update, tier="tier3", scope="chat:write"),
    "conversations.history": Method(
        handler=people.conversations_history, tier="tier3", scope="channels:history"
    ),
    "conversations.info": Method(handler=people.conversations_info, tier="tier3", scope="channels:read"),
    "conversations.members": Method(
        handler=people.conversations_members, tier="tier4", scope="channels:read"
    ),
    "conversations.replies": Method(
        handler=people.conversations_replies, tier="tier3", scope="channels:history"
    ),
    "files.completeUploadExternal": Method(handler=files.complete_upload, tier="tier4", scope="files:write"),
    "files.getUploadURLExternal": Method(handler=files.get_upload_url, tier="tier4", scope="files:write"),
    "usergroups.list": Method(handler=people.usergroups_list, tier="tier2", scope="usergroups:read"),
    "usergroups.users.list": Method(
        handler=people.usergroups_users_list, tier="tier2", scope="usergroups:read"
    ),
    "users.info": Method(handler=people.users_info, tier="tier4", scope="users:read"),
    "views.open": Method(handler=dialogs.views_open, tier="tier4"),
    "views.publish": Method(handler=dialogs.views_publish, tier="tier4"),
    "views.push": Method(handler=dialogs.views_push, tier="tier4"),
    "views.update": Method(handler=dialogs.views_update, tier="tier4"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a call gets back; `retry_after` makes it HTTP 429."""

    status: int = 200
    body: Json
    retry_after: int | None = None

    @property
    def error(self) -> str | None:
        """Slack's error code, or None where the call was done."""
        return None if self.body.get("ok") else str(self.body.get("error"))


async def handle(world: World, request: web.Request) -> web.Response:
    """One HTTP request to /api/<method>."""
    method = request.match_info["method"]
    args, token = await _read(request)
    fault = world.faults.next_for(method)
    early = None if fault is None or fault.after_effect else _of_fault(fault)
    answer = early or call(world, method, args, token)
    world.calls.append(
        ApiCall(
            at=world.clock(),
            method=method,
            args=args.to_record(),
            status=answer.status,
            error=answer.error,
        )
    )
    world.changed()
    if fault is not None:
        await _lose_connection(world, fault, request)
        answer = _of_fault(fault)
    return _response(world, answer)


async def _read(request: web.Request) -> tuple[Arguments, str | None]:
    values: Json = dict(request.query)
    if request.content_type == "application/json":
        values |= _decoded(await request.text())
    else:
        values |= dict(await request.post())
    header = request.headers.get("Authorization", "")
    token = header.removeprefix("Bearer ") if header.startswith("Bearer ") else values.get("token")
    return Arguments(values), token


def _decoded(text: str) -> Json:
    try:
        body = json.loads(text or "{}")
    except json.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def call(world: World, name: str, args: Arguments, token: str | None) -> Answer:
    """Carry out a call, with all of Slack's conditions."""
    method = METHODS.get(name)
    try:
        if method is None:
            raise SlackError("unknown_method", req_method=name)  # noqa: TRY301
        _authorise(world, method, token)
        if wait := _wait(world, name, method, args):
            return Answer(status=429, body={"ok": False, "error": "ratelimited"}, retry_after=wait)
        return Answer(body={"ok": True, **method.handler(world, args)})
    except SlackError as refusal:
        return Answer(body={"ok": False, "error": refusal.code, **refusal.extra})


def _authorise(world: World, method: Method, token: str | None) -> None:
    app = world.registration
    if not token:
        raise SlackError("not_authed")
    if token not in (app.bot_token, app.app_token):
        raise SlackError("invalid_auth")
    if (token == app.app_token) != method.app_level:
        raise SlackError("not_allowed_token_type")
    if method.scope is not None and method.scope not in app.scopes:
        raise SlackError("missing_scope", needed=method.scope, provided=",".join(app.scopes))


def _wait(world: World, name: str, method: Method, args: Arguments) -> int:
    if method.tier == "per channel":
        return world.throttle.post(str(args.values.get("channel")))
    return world.throttle.method(name, method.tier)


def _of_fault(fault: MethodFault) -> Answer:
    match fault.answer:
        case "ratelimited":
            body = {"ok": False, "error": "ratelimited"}
            return Answer(status=429, body=body, retry_after=fault.retry_after)
        case "server_error":
            return Answer(status=500, body={"ok": False, "error": "internal_error"})
        case "error":
            return Answer(body={"ok": False, "error": fault.error})
        case _:
            return Answer(status=0, body={"ok": False, "error": fault.answer})


async def _lose_connection(world: World, fault: MethodFault, request: web.Request) -> None:
    if fault.answer not in ("timeout", "drop"):
        return
    if fault.answer == "timeout":
        await _until_gone(world, request)
    if request.transport is not None:
        request.transport.abort()
    raise asyncio.CancelledError


async def _until_gone(world: World, request: web.Request) -> None:
    while request.transport is not None and not request.transport.is_closing():
        try:
            await asyncio.wait_for(world.stopping.wait(), 0.1)
        except TimeoutError:
            continue
        return


def _response(world: World, answer: Answer) -> web.Response:
    headers = {"x-oauth-scopes": ",".join(world.registration.scopes), "x-slack-req-id": secrets.token_hex(8)}
    if answer.retry_after is not None:
        headers["Retry-After"] = str(answer.retry_after)
    return web.json_response(answer.body, status=answer.status, headers=headers)
