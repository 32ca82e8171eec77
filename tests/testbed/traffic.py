"""A backend behind the mesh, and a client in front of it that never stops asking."""

import http.client
import http.server
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

KEPT_FAILURES = 20  # the first ones say what went wrong; all are counted
ANSWER = b"served through mTLS\n"


class Backend:
    """The application of the server side: answers every GET."""

    def __init__(self, port: int) -> None:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), _Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="backend", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(http.HTTPStatus.OK)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is the library's)
        """Say nothing: the probe counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What a probe saw. Green only if total > 0 and failed == 0."""

    total: int
    failed: int
    seconds: float
    failures: tuple[str, ...]  # the first of them: seconds since the start, and what happened


class Probe:
    """Asks through the mesh at a steady rate and counts; a context manager, or start() and stop().

    A request that does not get 200 with the backend's own words within the time-out has failed. Slow answers
    lower the rate; they are not caught up with.
    """

    def __init__(self, port: int, *, rate: float = 50.0, time_out: float = 5.0) -> None:
        self._port, self._interval, self._time_out = port, 1 / rate, time_out
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)
        self._started = 0.0
        self._total = self._failed = 0
        self._failures: list[str] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        self._started = time.monotonic()
        self._thread.start()

    def stop(self) -> ProbeResult:
        """End it and give the result."""
        self._ended.set()
        self._thread.join()
        return self.result()

    def result(self) -> ProbeResult:
        """Give what it saw so far; it may still be running."""
        seconds = time.monotonic() - self._started
        failures = tuple(self._failures)
        return ProbeResult(total=self._total, failed=self._failed, seconds=seconds, failures=failures)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._interval, time.monotonic())
            fault = ask(self._port, time_out=self._time_out)
            self._total += 1
            if fault is not None:
                self._failed += 1
                if len(self._failures) < KEPT_FAILURES:
                    self._failures.append(f"{time.monotonic() - self._started:.2f} s: {fault}")


def ask(port: int, *, time_out: float = 5.0) -> str | None:
    """Ask once on a new connection: None when it went well, else what did not."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=time_out)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK or body != ANSWER:
        return f"{answer.status} {body[:200]!r}"
    return None
