"""Socket Mode: the WebSocket over which Slack sends commands, presses and events to the app.

Up to ten connections; each envelope goes to one of them, in turn, and has to be acknowledged in time. There
is no queue: without a connection a command or a press fails at once. Only events are sent again (with a new
envelope id and the same event id). Source: facts/slack.md section 2.
"""

import asyncio
import json
import time
import uuid
from contextlib import suppress
from typing import Any, Literal

from aiohttp import WSMsgType, web

from bot.sandbox.slack.shapes import Json
from bot.sandbox.slack.workspace import APP_ID
from bot.sandbox.slack.world import Delivery, World

MOST_CONNECTIONS = 10
HOST = "applink-sandbox"
Goodbye = Literal["drop", "close", "warning", "refresh_requested", "link_disabled"]
GOODBYES: tuple[Goodbye, ...] = ("drop", "close", "warning", "refresh_requested", "link_disabled")


class SocketMode:
    """The app's connections and the envelopes on their way to it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._connections: list[tuple[web.WebSocketResponse, web.Request]] = []
        self._turn = 0
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._sent: dict[str, Delivery] = {}
        self._retries: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        """How many sockets the app holds open."""
        return len(self._connections)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One connection, from its ticket to its end."""
        if request.query.get("ticket") not in self._world.tickets:
            return web.Response(status=401, text="invalid ticket")
        self._world.tickets.discard(request.query["ticket"])
        socket = web.WebSocketResponse(heartbeat=self._world.patience.heartbeat)
        await socket.prepare(request)
        if self.connections >= MOST_CONNECTIONS:
            await socket.send_json(self._disconnect("too_many_websockets"))
            await socket.close()
            return socket
        await self._serve(socket, request)
        return socket

    async def _serve(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        entry = (socket, request)
        self._connections.append(entry)
        self._world.changed()
        try:
            await socket.send_json(self._hello())
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._acknowledged(message.data)
        except ConnectionError:
            pass  # the app went away; that is its right
        finally:
            self._forget(entry)

    def _forget(self, entry: tuple[web.WebSocketResponse, web.Request]) -> None:
        if entry in self._connections:
            self._connections.remove(entry)
        self._world.changed()

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": self.connections,
            "connection_info": {"app_id": APP_ID},
            "debug_info": {
                "host": HOST,
                "build_number": 1,
                "approximate_connection_time": int(self._world.patience.connection),
            },
        }

    def _disconnect(self, reason: str) -> Json:
        return {"type": "disconnect", "reason": reason, "debug_info": {"host": HOST}}

    def _acknowledged(self, text: str) -> None:
        with suppress(json.JSONDecodeError):
            message = json.loads(text)
            delivery = self._sent.get(message.get("envelope_id", ""))
            if delivery is not None:
                delivery.acks += 1
                waiting = self._waiting.get(delivery.envelope_id)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message.get("payload"))
                self._world.changed()

    async def deliver(self, kind: str, payload: Json, **fields: Any) -> tuple[Delivery, Any]:
        """Send a payload and wait for its acknowledgement; gives how it went and what the app sent back."""
        envelope_id = str(uuid.uuid4())
        delivery = Delivery(at=self._world.clock(), kind=kind, envelope_id=envelope_id, payload=payload)
        self._world.deliveries.append(delivery)
        self._sent[envelope_id] = delivery
        answer = self._waiting[envelope_id] = asyncio.get_running_loop().create_future()
        envelope = {"envelope_id": envelope_id, "type": kind, "payload": payload, **fields}
        begun = time.monotonic()
        sent_back = None
        try:
            if await self._send(envelope):
                sent_back = await asyncio.wait_for(answer, self._world.patience.ack)
                delivery.outcome = "acked"
                delivery.ack_ms = round((time.monotonic() - begun) * 1000, 1)
            else:
                delivery.outcome = "no_connection"
        except TimeoutError:
            delivery.outcome = "timeout"
        finally:
            del self._waiting[envelope_id]
            self._world.changed()
        return delivery, sent_back

    async def _send(self, envelope: Json) -> bool:
        times = 2 if self._world.faults.take_duplicate() else 1
        if self._world.faults.take_loss():
            return self.connections > 0
        return all([await self._send_once(envelope) for _ in range(times)])

    async def _send_once(self, envelope: Json) -> bool:
        if not self._connections:
            return False
        self._turn += 1
        socket, _ = self._connections[self._turn % len(self._connections)]
        try:
            await socket.send_json(envelope)
        except (ConnectionError, RuntimeError):
            return False
        return True

    def send_event(self, payload: Json) -> None:
        """Send an event in the background, again and again if it is not acknowledged."""
        task = asyncio.get_running_loop().create_task(self._event(payload))
        self._retries.add(task)
        task.add_done_callback(self._retries.discard)

    async def _event(self, payload: Json) -> None:
        for attempt, pause in enumerate((None, *self._world.patience.event_retries)):
            if pause is not None:
                await asyncio.sleep(pause)
            reason = "timeout" if attempt else ""
            delivery, _ = await self.deliver(
                "events_api",
                payload,
                accepts_response_payload=False,
                retry_attempt=attempt,
                retry_reason=reason,
            )
            if delivery.outcome == "acked":
                return

    async def say_goodbye(self, how: Goodbye) -> int:
        """End every connection: cut it, close it, or ask the app to come back; gives how many there were."""
        connections = list(self._connections)
        for entry in connections:
            await self._end(entry, how)
        return len(connections)

    async def _end(self, entry: tuple[web.WebSocketResponse, web.Request], how: Goodbye) -> None:
        socket, request = entry
        if how in ("drop", "refresh_requested", "link_disabled"):
            self._forget(entry)  # nothing is sent there any more
        if how == "drop":
            if request.transport is not None:
                request.transport.abort()
        elif how == "close":
            await socket.close()
        else:
            await socket.send_json(self._disconnect(how))

    async def stop(self) -> None:
        """Close every connection and forget the retries."""
        for task in list(self._retries):
            task.cancel()
        await asyncio.gather(*self._retries, return_exceptions=True)
        for socket, _ in list(self._connections):
            await socket.close()
