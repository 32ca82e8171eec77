"""A sidecar's admin interface: ``pilot-agent request`` in the container, HTTP on port 15000."""

import asyncio
from dataclasses import dataclass

from bot.sandbox.cluster.objects import Json
from bot.sandbox.cluster.proxies import Envoy, Oddity

_SLOW = 5.0  # real seconds
_AGENTS = ("pilot-agent", "/usr/local/bin/pilot-agent")
_UNKNOWN = b"invalid path. admin commands are:\n  /: Admin home page\n  /certs: print certs on machine\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a command in a container ended; ``refused`` means that the runtime did not start it."""

    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int = 0
    refused: str = ""

    def status(self) -> Json:
        """The ``Status`` in the error channel."""
        if self.refused:
            text = f"Internal error occurred: {self.refused}"
            head = {"metadata": {}, "status": "Failure", "message": text, "reason": "InternalError"}
            return head | {"details": {"causes": [{"message": self.refused}]}, "code": 500}
        if self.exit_code == 0:
            return {"metadata": {}, "status": "Success"}
        text = f"command terminated with non-zero exit code: exit status {self.exit_code}"
        cause = {"reason": "ExitCode", "message": str(self.exit_code)}
        head = {"metadata": {}, "status": "Failure", "message": text, "reason": "NonZeroExitCode"}
        return head | {"details": {"causes": [cause]}}


async def run_command(command: list[str], proxy: Envoy | None) -> Outcome:
    """Run a command in a container; only a sidecar knows ``pilot-agent request GET <path>``."""
    known = proxy is not None and proxy.oddity is not Oddity.NO_BINARY
    match command:
        case [agent, "request", "GET", path] if agent in _AGENTS and known:
            assert proxy is not None
            return await _requested(path, proxy)
        case [agent, *_] if agent in _AGENTS and known:
            return Outcome(stderr=b"Error: unknown command for pilot-agent\n", exit_code=255)
        case [program, *_]:
            return Outcome(refused=_no_such(program))
        case _:
            return Outcome(refused="no command")


async def _requested(path: str, proxy: Envoy) -> Outcome:
    if proxy.refuses or proxy.oddity is Oddity.EXEC_FAILS:
        text = "Error: failed to execute command on Envoy: Get http://127.0.0.1:15000/certs: dial tcp"
        return Outcome(
            stderr=f"{text} 127.0.0.1:15000: connect: connection refused\n".encode(), exit_code=255
        )
    if proxy.oddity is Oddity.SLOW:
        await asyncio.sleep(_SLOW)
    if path.strip("/") != "certs":
        return Outcome(stdout=_UNKNOWN)
    return Outcome(stdout=proxy.certs()[0])


def _no_such(program: str) -> str:
    what = f'exec: "{program}": executable file not found in $PATH: unknown'
    how = "OCI runtime exec failed: exec failed: unable to start container process"
    return f"error executing command in container: failed to exec in container: {how}: {what}"


async def serve(request: bytes, proxy: Envoy) -> bytes:
    """One HTTP/1.1 exchange with the admin port."""
    method, _, rest = request.decode("latin-1").partition(" ")
    path = rest.partition(" ")[0]
    if proxy.oddity is Oddity.SLOW:
        await asyncio.sleep(_SLOW)
    if path.partition("?")[0] != "/certs":
        return _response(404, _UNKNOWN, "text/plain; charset=UTF-8")
    body, kind = proxy.certs()
    return _response(503 if kind == "text/html" else 200, b"" if method == "HEAD" else body, kind)


def _response(code: int, body: bytes, kind: str) -> bytes:
    reason = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}[code]
    head = f"HTTP/1.1 {code} {reason}\r\ncontent-type: {kind}\r\ncache-control: no-cache, max-age=0\r\n"
    return f"{head}server: envoy\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
