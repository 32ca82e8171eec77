"""The stand-in in a thread of its own, for callers that are not asynchronous: tests and the sandbox.

Everything that touches the stand-in's state is run on its event loop, so no lock is needed anywhere.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from bot.sandbox.slack.faults import MethodFault
from bot.sandbox.slack.forms import Values
from bot.sandbox.slack.messages import Ephemeral, Message
from bot.sandbox.slack.outcomes import Outcome
from bot.sandbox.slack.record import record_of
from bot.sandbox.slack.server import SlackStandIn
from bot.sandbox.slack.shapes import Json
from bot.sandbox.slack.socket_mode import Goodbye
from bot.sandbox.slack.workspace import MESH_OPS, Workspace
from bot.sandbox.slack.world import World

T = TypeVar("T")
LONGEST = 60.0  # seconds that any one act may take


class RunningSlack:
    """A started stand-in, driven from another thread."""

    def __init__(self, stand_in: SlackStandIn, loop: asyncio.AbstractEventLoop) -> None:
        self._stand_in = stand_in
        self._loop = loop
        self.url = stand_in.url
        self.api_url = stand_in.api_url
        self.bot_token = stand_in.bot_token
        self.app_token = stand_in.app_token

    def _run(self, work: Coroutine[Any, Any, T], *, seconds: float = LONGEST) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    def ask(self, question: Callable[[World], T]) -> T:
        """Look at (or change) the stand-in's world on its own loop."""

        async def answer() -> T:
            return question(self._stand_in.world)

        return self._run(answer())

    def wait_for(self, question: Callable[[World], T], *, seconds: float = 10.0) -> T:
        """Wait until the question has a truthy answer, and give it; no polling, no sleeping."""

        async def answer() -> T:
            world, until = self._stand_in.world, self._loop.time() + seconds
            while True:
                version = world.version
                if found := question(world):
                    return found
                if not await world.change_after(version, seconds=max(0.0, until - self._loop.time())):
                    raise TimeoutError(f"the stand-in of Slack did not see it within {seconds} s")

        return self._run(answer(), seconds=seconds + LONGEST)

    def change(self, change: Callable[[Workspace], object]) -> None:
        """Change people, channels or groups, for instance `lambda w: w.change_person(ADA, deleted=True)`."""

        def changed(world: World) -> None:
            change(world.workspace)
            world.changed()

        self.ask(changed)

    def command(self, user: str, text: str, **options: Any) -> Outcome:
        """Acting.command: type a line; options are channel, forged, wait."""
        return self._run(self._stand_in.acting.command(user, text, **options))

    def press(self, user: str, action_id: str, **options: Any) -> Outcome:
        """Acting.press: options: channel, ts, view_id, block_id, value, values, forged, wait."""
        return self._run(self._stand_in.acting.press(user, action_id, **options))

    def submit(self, user: str, values: Values, **options: Any) -> Outcome:
        """Acting.submit: options are view_id, forged, wait."""
        return self._run(self._stand_in.acting.submit(user, values, **options))

    def close_view(self, user: str, *, view_id: str | None = None) -> Outcome:
        """Acting.close: close the open dialog unsent."""
        return self._run(self._stand_in.acting.close(user, view_id=view_id))

    def open_home(self, user: str, *, wait: float = 0) -> Outcome:
        """Acting.home: open the app's Home tab."""
        return self._run(self._stand_in.acting.home(user, wait=wait))

    def deliver(self, kind: str, payload: Json, *, answerable: bool = False) -> str:
        """Send any payload to the app, for instance one kept from before; gives "acked" or why not."""
        work = self._stand_in.socket.deliver(kind, payload, accepts_response_payload=answerable)
        return self._run(work)[0].outcome

    def fail(self, method: str, fault: MethodFault, *, times: int = 1) -> None:
        """Let the next calls of a Web API method go wrong."""
        self.ask(lambda world: world.faults.order(method, fault, times=times))

    def duplicate_next_envelope(self, times: int = 1) -> None:
        """Deliver the next envelopes twice."""
        self.ask(lambda world: setattr(world.faults, "duplicate_envelopes", times))

    def lose_next_envelope(self, times: int = 1) -> None:
        """Let the next envelopes vanish on their way, so that they time out."""
        self.ask(lambda world: setattr(world.faults, "lose_envelopes", times))

    def say_goodbye(self, how: Goodbye) -> int:
        """End the app's connections: "drop", "close", "warning", "refresh_requested", "link_disabled"."""
        return self._run(self._stand_in.socket.say_goodbye(how))

    def wait_for_connections(self, count: int = 1, *, seconds: float = 10.0) -> None:
        """Wait until the app holds that many sockets or more."""
        socket = self._stand_in.socket
        self.wait_for(lambda _: socket.connections >= count or None, seconds=seconds)

    def delete_message(self, ts: str, *, channel: str = MESH_OPS) -> None:
        """Delete a message as an administrator would."""

        def deleted(world: World) -> None:
            world.conversations.delete(world.conversations.messages[channel, ts])
            world.changed()

        self.ask(deleted)

    def messages(self, channel: str = MESH_OPS) -> list[Message]:
        """The channel's messages in order, replies included, deleted ones left out."""
        return self.ask(lambda w: [one for one in w.conversations.in_channel(channel) if not one.deleted])

    def ephemerals(self, user: str) -> list[Ephemeral]:
        """What one person alone was shown, in order."""
        return self.ask(lambda w: [one for one in w.conversations.ephemerals.values() if one.user == user])

    def record(self) -> Json:
        """Everything that happened, as JSON."""
        return self.ask(record_of)


@contextmanager
def running_slack(host: str = "127.0.0.1", port: int = 0, **options: Any) -> Iterator[RunningSlack]:
    """Run a stand-in in a thread until the block ends; options are those of SlackStandIn."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="slack stand-in", daemon=True)
    thread.start()
    stand_in = SlackStandIn(**options)
    try:
        asyncio.run_coroutine_threadsafe(stand_in.start(host, port), loop).result(LONGEST)
        yield RunningSlack(stand_in, loop)
    finally:
        asyncio.run_coroutine_threadsafe(_stop(stand_in), loop).result(LONGEST)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _stop(stand_in: SlackStandIn) -> None:
    await stand_in.stop()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
