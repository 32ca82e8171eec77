"""``exec`` and ``port-forward``: WebSockets with channels, as API server and kubelet frame them.

Source: ``k8s.io/apimachinery/pkg/util/httpstream/wsstream`` and ``pkg/kubelet/cri/streaming`` of Kubernetes.
With ``v5`` the server upgrades first and tells of a pod's troubles in channel 3, with ``v4`` in HTTP.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from bot.sandbox.cluster import status
from bot.sandbox.cluster.admin import Outcome, run_command, serve
from bot.sandbox.cluster.api import Answer, Api, Request, refusal
from bot.sandbox.cluster.objects import Json, encode, name_of, path, uid_of
from bot.sandbox.cluster.proxies import Envoy, proxy_container
from bot.sandbox.cluster.serving import Talk, WebhookServer
from bot.sandbox.cluster.status import ApiError

_V4, _V5 = "v4.channel.k8s.io", "v5.channel.k8s.io"
_STDOUT, _STDERR, _ERROR = 1, 2, 3
_FRAME = 32 * 1024  # bytes; the kubelet copies in buffers of that size
_ADMIN_PORT = 15000

ProxyOf = Callable[[str], Envoy | None]
ServerOf = Callable[[str], WebhookServer | None]
Reply = Callable[[web.Request, Answer], web.StreamResponse]


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """Answers upgrades to pods; sidecar and webhook server of a running pod are found by its UID."""

    api: Api
    proxy_of: ProxyOf
    server_of: ServerOf
    reply: Reply

    async def answer(self, request: web.Request, read: Request) -> web.StreamResponse:
        """Serve one upgrade, from authorisation to the last frame."""
        try:
            await self.api.admit(read)
            pod = self.api.registry.get(read.call.address).value
            _check(pod, read, upgrade=request.headers.get("Upgrade", "").lower() == "websocket")
        except ApiError as error:
            self.api.write_down(read, error.code)
            return self.reply(request, refusal(error))
        except ConnectionAbortedError:
            self.api.write_down(read, 0)
            return self.reply(request, Answer(code=0, body=b"", cut=True))
        self.api.write_down(read, 101)
        if read.call.address.subresource == "exec":
            return await self._exec(request, read, pod)
        return await self._forward(request, read, pod)

    async def _exec(self, request: web.Request, read: Request, pod: Json) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=(_V5, _V4))
        outcome = await self._outcome(read, pod)
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        if outcome.refused and _V5 not in offered:
            return web.Response(status=500, text=outcome.refused, headers={"Content-Type": "text/plain"})
        await socket.prepare(request)
        # The kubelet's first frame is empty: it tells the client that the stream is open.
        await socket.send_bytes(bytes([_STDOUT]))
        await _send(socket, _STDOUT, outcome.stdout)
        await _send(socket, _STDERR, outcome.stderr)
        await socket.send_bytes(bytes([_ERROR]) + encode(outcome.status()))
        await socket.close()
        return socket

    async def _outcome(self, read: Request, pod: Json) -> Outcome:
        container = read.call.first("container") or pod["spec"]["containers"][0]["name"]
        if not _runs(pod, container):
            return Outcome(refused=f'container not found ("{container}")')
        here = proxy_container(pod)
        proxy = self.proxy_of(uid_of(pod)) if here and here["name"] == container else None
        return await run_command(read.call.query.get("command", []), proxy)

    async def _forward(self, request: web.Request, read: Request, pod: Json) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=(_V4,))
        await socket.prepare(request)
        ports = [int(port) for each in read.call.query["ports"] for port in each.split(",")]
        for number, port in enumerate(ports):
            for channel in (2 * number, 2 * number + 1):
                await socket.send_bytes(bytes([channel]) + port.to_bytes(2, "little"))
        talks: dict[int, Talk] = {}
        for number, port in enumerate(ports):
            talk = self._talk(pod, port)
            if talk is None:
                await socket.send_bytes(bytes([2 * number + 1]) + _refused(pod, port).encode())
            else:
                talks[2 * number] = talk
        await _pump(socket, talks)
        return socket

    def _talk(self, pod: Json, port: int) -> Talk | None:
        """Connect to a port of a pod; None where nobody listens."""
        proxy, server = self.proxy_of(uid_of(pod)), self.server_of(uid_of(pod))
        if port == _ADMIN_PORT and proxy is not None and not proxy.refuses:
            return _Admin(proxy)
        return server.accept() if server is not None and port == server.port else None


class _Admin:
    """HTTP with a sidecar's admin port."""

    def __init__(self, proxy: Envoy) -> None:
        self._proxy = proxy
        self._heard = b""

    async def hear(self, data: bytes) -> bytes:
        self._heard += data
        if b"\r\n\r\n" not in self._heard or self._proxy.refuses:
            return b""
        request, self._heard = self._heard, b""
        return await serve(request, self._proxy)


async def _pump(socket: web.WebSocketResponse, talks: dict[int, Talk]) -> None:
    """Answer on the data channels until the client goes; the end is never signalled."""
    async for message in socket:
        if message.type is not WSMsgType.BINARY or not message.data:
            continue
        channel = message.data[0]
        if channel in talks:
            await _send(socket, channel, await talks[channel].hear(message.data[1:]))


async def _send(socket: web.WebSocketResponse, channel: int, data: bytes) -> None:
    for start in range(0, len(data), _FRAME):
        await socket.send_bytes(bytes([channel]) + data[start : start + _FRAME])
        await asyncio.sleep(0)


def _check(pod: Json, read: Request, *, upgrade: bool) -> None:
    """What the API server itself looks at before it turns to the kubelet."""
    if not upgrade:
        raise status.bad_request("Upgrade request required")
    call, name = read.call, name_of(pod)
    if not path(pod, "spec", "nodeName"):
        raise status.bad_request(f"pod {name} does not have a host assigned")
    if call.address.subresource == "portforward":
        _check_ports(call.query.get("ports", []))
        return
    names = [each["name"] for each in _containers(pod)]
    wanted = call.first("container")
    if not wanted and len(names) > 1:
        text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]"
        raise status.bad_request(text)
    if wanted and wanted not in names:
        raise status.bad_request(f"container {wanted} is not valid for pod {name}")
    if not call.query.get("command"):
        raise status.bad_request("you must specify at least 1 command for the container")


def _check_ports(values: list[str]) -> None:
    numbers = [port for each in values for port in each.split(",")]
    if not numbers or not all(port.isdigit() and 0 < int(port) < 65536 for port in numbers):
        raise status.bad_request(
            'query parameter "port" is required' if not numbers else "unable to parse port"
        )


def _containers(pod: Json) -> list[Json]:
    return list(pod["spec"]["containers"]) + list(pod["spec"].get("initContainers") or [])


def _runs(pod: Json, container: str) -> bool:
    states = path(pod, "status", "containerStatuses") or []
    return any(each["name"] == container and "running" in each["state"] for each in states)


def _refused(pod: Json, port: int) -> str:
    where = f'failed to connect to localhost:{port} inside namespace "{uid_of(pod)[:13]}"'
    why = f"IPv4: dial tcp4 127.0.0.1:{port}: connect: connection refused"
    return f"error forwarding port {port} to pod {uid_of(pod)}, uid : {where}, {why}"
