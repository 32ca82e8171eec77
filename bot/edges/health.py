"""Tells Kubernetes whether the bot lives and works: /healthz, /readyz, and /metrics beside them.

*Live* asks whether a restart would help: threads that hang, a socket that has been deaf for minutes.
*Ready* asks whether it can do its work now; a failing Slack or database makes it unready, and no
restart would mend that.
"""

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

import structlog

Probe = Callable[[], str]
"""What is wrong, in a sentence; empty when nothing is."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What is asked when somebody asks."""

    live: Mapping[str, Probe] = field(default_factory=dict)
    ready: Mapping[str, Probe] = field(default_factory=dict)
    metrics: Callable[[], bytes] = bytes
    metrics_type: str = "text/plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    type: str = "application/json"


def answer(health: Health, path: str) -> Answer:
    """What a GET of this path gets: 200 when all is well, 503 with the reasons when not."""
    match path.partition("?")[0]:
        case "/healthz":
            return _asked(health.live)
        case "/readyz":
            return _asked(health.ready)
        case "/metrics":
            return Answer(status=200, body=health.metrics(), type=health.metrics_type)
        case _:
            return Answer(status=404, body=b'{"faults": {"path": "not one of /healthz /readyz /metrics"}}')


def _asked(probes: Mapping[str, Probe]) -> Answer:
    faults = {name: fault for name, probe in probes.items() if (fault := _fault(probe))}
    body = json.dumps({"faults": faults}, ensure_ascii=False).encode() + b"\n"
    return Answer(status=503 if faults else 200, body=body)


def _fault(probe: Probe) -> str:
    """A probe that itself fails is a fault, told by kind only: its text may name what nobody may read here."""
    try:
        return probe()
    except Exception as error:  # noqa: BLE001 - whatever it is, the answer is no
        return f"could not be looked at ({type(error).__name__})"


class HealthServer:
    """Answers on a thread of its own, so that it answers when everything else hangs."""

    def __init__(self, health: Health, *, host: str, port: int) -> None:
        self._server = _Server(host, port)
        self._server.health = health
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens; the one that was taken, if port 0 was asked for."""
        return cast("tuple[str, int]", self._server.server_address)[1]

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()
        log.info("health served", port=self.port)

    def stop(self) -> None:
        """End; nobody is answered afterwards."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    health: Health

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """As any TCP server does: HTTPServer's own also asks DNS for this machine's name."""
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, *_: object) -> None:
        """Nothing: a probe that hung up is no news, and this would print a trace."""


class _Handler(BaseHTTPRequestHandler):
    timeout = 5
    """Seconds: a caller that says nothing must not keep a thread."""

    def do_GET(self) -> None:
        """Answer one question."""
        given = answer(cast("_Server", self.server).health, self.path)
        self.send_response(given.status)
        self.send_header("Content-Type", given.type)
        self.send_header("Content-Length", str(len(given.body)))
        self.end_headers()
        self.wfile.write(given.body)

    def version_string(self) -> str:
        """No versions for strangers."""
        return "rootkeeper"

    def log_message(self, *_: object) -> None:
        """Nothing: a probe every ten seconds is no news."""
