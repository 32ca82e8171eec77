"""An HTTP server that answers from a script: for what no well-behaved API server does on order."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bot.edges.kube import connection
from bot.edges.kube.client import KubeClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer; `cut` closes the connection instead, `hang` never answers, `drip` never ends."""

    code: int = 200
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = ()
    cut: bool = False
    hang: bool = False
    drip: bool = False


def refused(
    code: int, message: str = "no", *, token: str = "", headers: tuple[tuple[str, str], ...] = ()
) -> Reply:
    """A Status as the API server sends it."""
    status = {"kind": "Status", "message": message, "metadata": {"continue": token}}
    return Reply(code=code, body=json.dumps(status).encode(), headers=headers)


def absent(name: str) -> Reply:
    """The API server's word that an object is not there."""
    status = {"kind": "Status", "reason": "NotFound", "message": "not found", "details": {"name": name}}
    return Reply(code=404, body=json.dumps(status).encode())


NOT_FOUND = Reply(code=404, body=b"404 page not found\n")
"""A path that nothing serves."""


def discovered(*groups: str, versions: tuple[str, ...] = ("v1",)) -> Reply:
    """What `/apis` says."""
    listed = [{"name": each, "versions": [{"version": v} for v in versions]} for each in groups]
    return Reply(body=json.dumps({"kind": "APIGroupList", "groups": listed}).encode())


def resources(*names: str) -> Reply:
    """What `/apis/<group>/<version>` says."""
    listed = [{"name": each} for each in names]
    return Reply(body=json.dumps({"kind": "APIResourceList", "resources": listed}).encode())


@dataclass(slots=True)
class Stub:
    """The script and what was asked; the last reply is given for ever."""

    replies: list[Reply]
    tokens: list[str] = field(default_factory=list)
    """What came as `Authorization`."""
    asked: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def next(self, line: str) -> Reply:
        self.asked.append(line)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@contextmanager
def stubbed(
    directory: Path, *replies: Reply, user: dict[str, object] | None = None
) -> Iterator[tuple[KubeClient, Stub]]:
    """A client of a server with that script; the client's pauses are noted, not slept."""
    stub = Stub(list(replies))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(stub))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    client = KubeClient(
        connection.from_kubeconfig(write_kubeconfig(directory, server.server_port, user=user)),
        sleep=stub.slept.append,
    )
    try:
        yield client, stub
    finally:
        client.close()
        stub.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def write_kubeconfig(directory: Path, port: int, *, user: dict[str, object] | None = None) -> Path:
    """A kubeconfig for a server on this machine; of a user with a token where nothing else is said."""
    path = directory / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                "users": [{"name": "u", "user": user or {"token": "a-token"}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "c",
            }
        )
    )
    return path


def _handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            stub.tokens.append(self.headers.get("Authorization", ""))
            reply = stub.next(f"{self.command} {self.path}")
            if reply.hang:
                stub.released.wait(10)
            if reply.drip:
                self._drip()
            if reply.cut or reply.hang or reply.drip:
                self.close_connection = True
                return
            self.send_response(reply.code)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def _drip(self) -> None:
            """Send the head of an answer, a byte at a time, until the other side has had enough."""
            try:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not stub.released.wait(0.02):
                    self.wfile.write(b"-")
            except OSError:
                return

        do_GET = do_PATCH = do_POST = _answer  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    return Handler
