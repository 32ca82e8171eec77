"""The API over HTTP: tokens, headers, content negotiation. Objects are ``api.py``'s matter."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from email.utils import format_datetime

from aiohttp import web

from bot.sandbox.cluster.age import Age
from bot.sandbox.cluster.api import Answer, Api, Request, refusal
from bot.sandbox.cluster.discovery import discovered
from bot.sandbox.cluster.objects import encode, utc_now
from bot.sandbox.cluster.rbac import User
from bot.sandbox.cluster.requests import Call, read_call
from bot.sandbox.cluster.status import ApiError

_MAX_BODY = 3 * 1024 * 1024  # bytes; etcd and the API server refuse more, too

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Streamer = Callable[[web.Request, Request], Awaitable[web.StreamResponse]]


class Front:
    """The aiohttp application in front of an :class:`Api`."""

    def __init__(self, api: Api, *, users: dict[str, User], stream: Streamer, age: Age) -> None:
        self.skew = timedelta()  # added to the Date header
        self._api = api
        self._users = users
        self._stream = stream
        self._age = age

    def application(self, control: Handler) -> web.Application:
        """The application; ``control`` answers below ``/sandbox/``."""
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_route("*", "/sandbox/{tail:.*}", control)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            user = self._user(request)
            line = (request.method, request.rel_url.raw_path, request.rel_url.raw_query_string)
            call = read_call(*line, age=self._age)
        except ApiError as error:
            return self._response(refusal(error))
        if call is None:
            return self._pathless(request)
        return await self._objects(request, user, call)

    def _user(self, request: web.Request) -> User:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        user = self._users.get(token) if scheme == "Bearer" else None
        if user is None:
            raise ApiError(401, "Unauthorized")
        return user

    def _pathless(self, request: web.Request) -> web.Response:
        found = discovered(request.path, self._age)
        if found is None:
            return self._text("404 page not found\n", code=404)
        if isinstance(found, str):
            return self._text(found)
        return self._response(Answer(code=200, body=encode(found)))

    async def _objects(self, request: web.Request, user: User, call: Call) -> web.StreamResponse:
        try:
            read = Request(
                call=call,
                user=user,
                body=await request.read() if request.can_read_body else b"",
                content_type=request.content_type,
                user_agent=request.headers.get("User-Agent", ""),
                metadata_version=_metadata_version(request, self._age),
            )
        except ApiError as error:
            return self._response(refusal(error))
        if call.address.subresource in ("exec", "portforward"):
            return await self._stream(request, read)
        return self.reply(request, await self._api.answer(read))

    def reply(self, request: web.Request, answer: Answer) -> web.Response:
        """The HTTP form of an answer; a cut one closes the connection under the client."""
        if answer.cut and request.transport is not None:
            request.transport.abort()
        return self._response(answer)

    def _response(self, answer: Answer) -> web.Response:
        response = web.Response(status=answer.code or 500, body=answer.body, headers=self.headers())
        response.content_type = "application/json"
        if answer.retry_after is not None:
            response.headers["Retry-After"] = str(answer.retry_after)
        return response

    def _text(self, text: str, *, code: int = 200) -> web.Response:
        return web.Response(status=code, text=text, headers=self.headers())

    def headers(self) -> dict[str, str]:
        """The headers of every answer."""
        return {
            "Date": format_datetime(utc_now() + self.skew, usegmt=True),
            "Cache-Control": "no-cache, private",
        }


def _metadata_version(request: web.Request, age: Age) -> str:
    """In which version of PartialObjectMetadata the first form that can be served asks for it; empty: whole.

    Raises:
        ApiError: 406, none can be served.
    """
    for form in request.headers.get("Accept", "*/*").split(","):
        kind, _, rest = form.strip().partition(";")
        pairs = (each.strip().partition("=") for each in rest.split(";") if each)
        parameters = {key: value for key, _, value in pairs}
        if kind not in ("application/json", "application/*", "*/*"):
            continue
        if "as" not in parameters:
            return ""
        if version := age.metadata_version(parameters):
            return version
    text = "only the following media types are accepted: application/json"
    raise ApiError(406, text)
