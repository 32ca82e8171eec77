"""Runs a command in a container and talks to a pod's ports, through the API server's WebSockets.

Source: the channel protocol of k8s.io/apimachinery/pkg/util/remotecommand (v4, v5) and of
kubelet's portforward: the first byte of every frame is its channel. Nothing waits for the end of a
stream, which port forwarding does not signal; everything has a deadline.
"""

import http.client
import io
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

import websocket

from bot.edges.kube.client import KubeClient
from bot.edges.kube.deadline import Deadline
from bot.edges.kube.targets import Target
from bot.edges.kube.translate import cut, read_status
from bot.errors import ClusterRefused, ClusterUnreachable

EXEC_PROTOCOLS = "v5.channel.k8s.io,v4.channel.k8s.io"
FORWARD_PROTOCOL = "v4.channel.k8s.io"

_OUTPUT, _ERRORS, _OUTCOME, _CLOSED = 1, 2, 3, 255
"""Channels of exec: stdout, stderr, the Status at the end, and v5's notice of a closed channel."""

_DATA, _FAULT = 0, 1
"""Channels of the one forwarded port."""

_PAYLOAD = (websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_TEXT)

_LINGER_SECONDS = 1.0
"""After exec's Status, for output that a proxy in between delivers late."""

_PIECE = 64 * 1024


def run_in_pod(
    client: KubeClient, pod: Target, *, container: str, command: tuple[str, ...], deadline: Deadline
) -> Generator[bytes, None, None]:
    """Run a command in a container and yield what it prints.

    Raises:
        ClusterRefused: it cannot be run, or it failed; with what it said about that.
        ClusterForbidden, ObjectAbsent, ClusterUnreachable.
    """
    words = [("command", word) for word in command]
    query = [*words, ("container", container), ("stdout", "true"), ("stderr", "true")]
    socket = client.stream(pod.under("exec"), query=query, protocols=EXEC_PROTOCOLS, seconds=deadline.left())
    complaint = b""
    ended = False
    with _dropped(socket):
        try:
            for channel, data in _frames(socket, deadline):
                if channel == _OUTPUT:
                    yield data
                elif channel == _ERRORS:
                    complaint = (complaint + data)[:_PIECE]
                elif channel == _OUTCOME:
                    _check_outcome(data, complaint)
                    ended = True
                    deadline.shorten(_LINGER_SECONDS)
        except ClusterUnreachable:
            if not ended:
                raise
    if not ended:
        raise ClusterUnreachable("the connection to the container broke before the command ended")


@contextmanager
def _dropped(socket: websocket.WebSocket) -> Iterator[None]:
    """Let go of a WebSocket at the end, at once.

    Its own `close` waits up to three seconds for the other side's farewell, and leaves the socket
    open when the other side has taken leave first.
    """
    let_go: Callable[[], None] = socket.shutdown
    try:
        yield
    finally:
        let_go()


def _check_outcome(data: bytes, complaint: bytes) -> None:
    if b'"status":"Success"' in data.replace(b" ", b""):
        return
    said = " ".join((complaint.decode("utf-8", "replace"), read_status(data).message))
    raise ClusterRefused(f"the command failed in the container: {cut(said)}")


def _frames(socket: websocket.WebSocket, deadline: Deadline) -> Iterator[tuple[int, bytes]]:
    """Yield (channel, data) until the other side closes."""
    while True:
        try:
            socket.settimeout(deadline.left())
            opcode, frame = socket.recv_data_frame(control_frame=True)
        except websocket.WebSocketTimeoutException:
            deadline.left()
            continue
        except (websocket.WebSocketException, OSError) as fault:
            raise ClusterUnreachable(f"the stream broke: {cut(str(fault))}") from None
        data = bytes(frame.data) if frame else b""
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return
        if opcode in _PAYLOAD and data and data[0] != _CLOSED:
            yield data[0], data[1:]


def get_from_pod(
    client: KubeClient, pod: Target, *, port: int, path: str, deadline: Deadline
) -> Generator[bytes, None, None]:
    """Ask a port of a pod for a path over HTTP and yield the body of its answer.

    The caller stops when it has seen enough: an answer without a length never ends.

    Raises:
        ClusterRefused: nothing listens there, or the answer is no success.
        ClusterForbidden, ObjectAbsent, ClusterUnreachable.
    """
    with forwarded_port(client, pod, port=port, deadline=deadline) as forwarded:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n".encode()
        try:
            forwarded.send(request)
            answer = http.client.HTTPResponse(forwarded)  # type: ignore[arg-type]
            answer.begin()
            if answer.status != 200:
                raise ClusterRefused(f"port {port} answered {answer.status}")
            while piece := answer.read1(_PIECE):
                yield piece
        except (http.client.HTTPException, OSError, ValueError) as fault:
            text = str(fault) or type(fault).__name__
            raise ClusterUnreachable(f"port {port} did not answer in HTTP: {cut(text)}") from None


@contextmanager
def forwarded_port(
    client: KubeClient, pod: Target, *, port: int, deadline: Deadline
) -> Iterator["ForwardedPort"]:
    """Open one port of a pod; everything that is done with it has to be over by the deadline.

    Raises:
        ClusterForbidden, ObjectAbsent, ClusterRefused, ClusterUnreachable.
    """
    target, query = pod.under("portforward"), [("ports", str(port))]
    socket = client.stream(target, query=query, protocols=FORWARD_PROTOCOL, seconds=deadline.left())
    with _dropped(socket):
        yield ForwardedPort(socket, deadline)


class ForwardedPort(io.RawIOBase):
    """A forwarded port's bytes, as `http.client` wants to read them.

    Reading raises ClusterRefused where nothing listens there, and ClusterUnreachable at the deadline.
    """

    def __init__(self, socket: websocket.WebSocket, deadline: Deadline) -> None:
        super().__init__()
        self._socket = socket
        self._frames = _frames(socket, deadline)
        self._rest = b""
        self._opened: set[int] = set()

    def send(self, data: bytes) -> None:
        """Send bytes to the port.

        Raises:
            ClusterUnreachable: the stream broke.
        """
        try:
            self._socket.send_binary(bytes((_DATA,)) + data)
        except (websocket.WebSocketException, OSError) as fault:
            raise ClusterUnreachable(f"the stream broke: {cut(str(fault))}") from None

    def makefile(self, mode: str) -> io.BufferedReader:
        """What `http.client` asks a socket for."""
        del mode
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """What `io` asks before it reads."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read what has come, waiting for the first byte; 0 at the end."""
        while not self._rest:
            frame = next(self._frames, None)
            if frame is None:
                return 0
            self._rest = self._data(*frame)
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size

    def _data(self, channel: int, data: bytes) -> bytes:
        if channel not in self._opened:
            self._opened.add(channel)  # the first frame of a channel only repeats the port's number
            return b""
        if channel == _FAULT:
            raise ClusterRefused(f"the port cannot be reached: {cut(data.decode('utf-8', 'replace'))}")
        return data if channel == _DATA else b""
