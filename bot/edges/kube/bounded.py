"""Bounds a whole answer over HTTP, its head included: urllib3 bounds only the silence between two pieces.

What drips would keep a thread for ever, and with it a rotation or a check. Before every piece the
socket's time-out is set anew: to what is left.
"""

import http.client
import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import urllib3

from bot.edges.kube.deadline import Deadline

_deadline: ContextVar[Deadline | None] = ContextVar("deadline", default=None)
"""Of the request that this thread is at: between the caller and the socket urllib3 passes nothing on."""


@contextmanager
def answered_by(deadline: Deadline) -> Iterator[None]:
    """Let answers that are read in this block be over by then; reading raises urllib3's TimeoutError."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


def bind(manager: urllib3.PoolManager) -> None:
    """Make a pool manager's connections heed `answered_by`, through a proxy, too."""
    pools: dict[str, Any] = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: _bounded(pool) for scheme, pool in pools.items()}


def _bounded(pool: Any) -> Any:
    connection = type(pool.ConnectionCls.__name__, (pool.ConnectionCls,), {"response_class": _Response})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        deadline = _deadline.get()
        if deadline is not None:
            source: Any = self.fp
            self.fp = io.BufferedReader(_Pieces(source.detach(), sock, deadline))


class _Pieces(io.RawIOBase):
    """A socket's bytes as they come, until the deadline."""

    def __init__(self, source: io.RawIOBase, sock: Any, deadline: Deadline) -> None:
        super().__init__()
        self._source = source
        self._socket = sock
        self._silence: float | None = sock.gettimeout()
        self._deadline = deadline

    def readable(self) -> bool:
        """What `io` asks before it reads."""
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        """Wait for the next piece.

        Raises:
            TimeoutError: it did not come in time, or the time for all of them is over.
        """
        rest = self._deadline.rest
        if rest <= 0:
            raise TimeoutError("the answer goes on and on")
        self._socket.settimeout(rest if self._silence is None else min(self._silence, rest))
        count: int | None = self._source.readinto(buffer)
        return count

    def close(self) -> None:
        """Let go of the socket."""
        self._source.close()
        super().close()
