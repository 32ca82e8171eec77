"""The stand-in as one HTTP server: Web API, Socket Mode, response_urls, uploads, control API and page."""

import time
from collections.abc import Callable
from importlib import resources

from aiohttp import web

from bot.sandbox.slack import files, webapi
from bot.sandbox.slack.acting import Acting
from bot.sandbox.slack.control import Control
from bot.sandbox.slack.errors import SlackError
from bot.sandbox.slack.guard import LOOPBACK, guard
from bot.sandbox.slack.registration import COMMANDS, SCOPES, Patience, Registration, SlashCommand
from bot.sandbox.slack.response_urls import ResponseUrls
from bot.sandbox.slack.socket_mode import SocketMode
from bot.sandbox.slack.world import World

UPLOAD_BYTES = 64 * 1024 * 1024
STOP_SECONDS = 2.0  # for requests that are still being answered
_STATIC = {
    "page.html": "text/html",
    "page.css": "text/css",
    "favicon.svg": "image/svg+xml",
}


class SlackStandIn:
    """A Slack for one app on one machine.

    `rate_factor` scales Slack's rate limits (1 is Slack's own, less is stricter); `clock` gives Unix time,
    so that a test can let trigger ids and response_urls grow old; `patience` holds the other time limits.
    """

    def __init__(
        self,
        *,
        commands: tuple[SlashCommand, ...] = COMMANDS,
        scopes: tuple[str, ...] = SCOPES,
        patience: Patience | None = None,
        rate_factor: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.world = World(
            registration=Registration(commands=commands, scopes=scopes),
            patience=patience or Patience(),
            rate_factor=rate_factor,
            clock=clock,
        )
        self.socket = SocketMode(self.world)
        self.urls = ResponseUrls(self.world)
        self.acting = Acting(self.world, self.socket, self.urls)
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where the page is, without a slash at the end."""
        return self.world.url

    @property
    def api_url(self) -> str:
        """For `WebClient(base_url=...)`."""
        return f"{self.world.url}/api/"

    @property
    def bot_token(self) -> str:
        """The xoxb token that this stand-in takes."""
        return self.world.registration.bot_token

    @property
    def app_token(self) -> str:
        """The xapp token that this stand-in takes."""
        return self.world.registration.app_token

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on a loopback address; port 0 takes a free one."""
        if host not in LOOPBACK:
            raise ValueError(f"the stand-in of Slack listens on the loopback address only, not on {host}")
        self._runner = web.AppRunner(self._application(), shutdown_timeout=STOP_SECONDS)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        bound = self._runner.addresses[0]
        self.world.url = f"http://{host}:{bound[1]}"

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[guard], client_max_size=UPLOAD_BYTES)
        application.add_routes(Control(self.world, self.socket, self.acting).routes())
        application.add_routes(
            [
                web.route("*", "/api/{method}", self._api),
                web.get("/link/", self.socket.handle),
                web.post("/response/{key}", self._response_url),
                web.post("/upload/{file_id}/{key}", self._upload),
                web.get("/", self._page),
                web.get("/archives/{channel}/{message}", self._page),
                web.get("/page/{name}", self._static),
            ]
        )
        return application

    async def stop(self) -> None:
        """Close every connection and free the port."""
        self.world.stopping.set()
        self.world.changed()
        await self.socket.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _api(self, request: web.Request) -> web.StreamResponse:
        return await webapi.handle(self.world, request)

    async def _response_url(self, request: web.Request) -> web.Response:
        try:
            self.urls.use(request.match_info["key"], await request.json())
        except SlackError as refusal:
            status = 400 if refusal.code.startswith(("invalid", "no_text", "msg")) else 404
            return web.json_response({"ok": False, "error": refusal.code}, status=status)
        except ValueError:
            return web.json_response({"ok": False, "error": "invalid_payload"}, status=400)
        return web.json_response({"ok": True})

    async def _upload(self, request: web.Request) -> web.Response:
        content = await request.read()
        file_id, key = request.match_info["file_id"], request.match_info["key"]
        if not files.receive(self.world, file_id, key, content):
            return web.Response(status=400, text="upload refused: unknown, repeated or of another length")
        return web.Response(text=f"OK - {len(content)}")

    async def _page(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return _packaged("page.html")

    async def _static(self, request: web.Request) -> web.Response:
        return _packaged(request.match_info["name"])


def _packaged(name: str) -> web.Response:
    kind = "text/javascript" if name.endswith(".js") else _STATIC.get(name)
    source = resources.files("bot.sandbox.slack") / "page" / name
    if kind is None or "/" in name or not source.is_file():
        raise web.HTTPNotFound
    return web.Response(text=source.read_text(encoding="utf-8"), content_type=kind)
