"""What people do in the workspace: type a command, press a button, send a dialog off, open the Home tab.

By default a person can only do what a real client lets them do: press what is on the message, in a channel
they are in, with an account that is not deactivated. `forged=True` lifts that, for an attacker with a script
or an old window: any value, any removed button, any account. Whatever Slack itself says to the person
(time-outs, no connection, unknown command) is shown as an ephemeral text of sender "slack".
"""

import asyncio
import html
import re
from dataclasses import replace
from typing import Any

from bot.sandbox.slack import payloads
from bot.sandbox.slack.dialogs import accepted_view
from bot.sandbox.slack.errors import CannotAct, SlackError
from bot.sandbox.slack.forms import Values, complaints, state_of
from bot.sandbox.slack.messages import Content, Message
from bot.sandbox.slack.outcomes import Glance, Outcome
from bot.sandbox.slack.pressing import Pressed, Wanted, find_in_message, find_in_view
from bot.sandbox.slack.registration import SlashCommand
from bot.sandbox.slack.response_urls import ResponseUrls
from bot.sandbox.slack.shapes import Json
from bot.sandbox.slack.socket_mode import SocketMode
from bot.sandbox.slack.views import View
from bot.sandbox.slack.workspace import MESH_OPS, Channel, Person, Workspace
from bot.sandbox.slack.world import Delivery, World

TROUBLE = "We had some trouble connecting. Try again?"


class Acting:
    """The hands of the workspace's people."""

    def __init__(self, world: World, socket: SocketMode, urls: ResponseUrls) -> None:
        self._world = world
        self._socket = socket
        self._urls = urls

    async def command(
        self, user: str, text: str, *, channel: str = MESH_OPS, forged: bool = False, wait: float = 0
    ) -> Outcome:
        """Type a line into a channel: a slash command, or else an ordinary message."""
        person, place = self._person(user, forged=forged), self._channel(user, channel, forged=forged)
        glance = self._glance(person, place)
        if not text.startswith("/"):
            self._say(person, place, text)
            return glance.outcome(ok=True)
        name, *rest = text.split(maxsplit=1)
        registered = self._world.registration.command(name)
        if registered is None:
            return glance.outcome(ok=False, error=self._slack_says(person, place, _not_a_command(name)))
        error, delivery = await self._run(registered, rest[0].strip() if rest else "", person, place)
        await self._linger(glance, wait)
        return glance.outcome(ok=error is None, error=error, ack_ms=delivery.ack_ms)

    def _person(self, user: str, *, forged: bool) -> Person:
        person = self._world.workspace.person(user)
        if person is None:
            raise CannotAct(f"nobody here is called {user}")
        if not forged and (person.deleted or person.is_bot):
            raise CannotAct(f"{person.name} cannot act: {'an app' if person.is_bot else 'deactivated'}")
        return person

    def _channel(self, user: str, channel: str, *, forged: bool) -> Channel:
        person, place = self._world.workspace.person(user), self._world.workspace.channel(channel)
        if place is None:
            raise CannotAct(f"there is no channel {channel}")
        if not forged and place.is_archived:
            raise CannotAct(f"#{place.name} is archived")
        if not forged and person is not None and person.id not in place.members:
            raise CannotAct(f"{person.name} is not in #{place.name}")
        return place

    def _say(self, person: Person, channel: Channel, text: str) -> None:
        said = self._world.conversations
        content = Content(at=self._world.clock(), text=text)
        said.post(Message(channel=channel.id, ts=said.stamp(), user=person.id, content=content))
        self._world.changed()

    def _slack_says(
        self, person: Person, channel: Channel, text: str, *, thread_ts: str | None = None
    ) -> str:
        content = Content(at=self._world.clock(), text=text)
        self._world.conversations.whisper(
            content, channel=channel.id, user=person.id, sender="slack", thread_ts=thread_ts
        )
        self._world.changed()
        return text

    async def _run(
        self, command: SlashCommand, text: str, person: Person, channel: Channel
    ) -> tuple[str | None, Delivery]:
        shown = escaped(self._world.workspace, text) if command.should_escape else text
        payload = payloads.slash_command(
            self._world.workspace, command=command.command, text=shown, person=person, channel=channel
        )
        payload |= {
            "response_url": self._urls.make(user=person.id, channel=channel.id),
            "trigger_id": self._world.views.new_trigger(person.id),
        }
        delivery, answer = await self._socket.deliver(
            "slash_commands", payload, accepts_response_payload=True
        )
        code = _failure(delivery) or self._answered(answer, person, channel)
        if code is None:
            return None, delivery
        sentence = f'{command.command} failed with the error "{code}"'
        return self._slack_says(person, channel, sentence), delivery

    def _answered(self, answer: Any, person: Person, channel: Channel) -> str | None:
        if not answer:
            return None
        body = answer if isinstance(answer, dict) else {"text": str(answer)}
        try:
            self._urls.answer(body, user=person.id, channel=channel.id)
        except SlackError as refusal:
            return refusal.code
        return None

    async def press(
        self,
        user: str,
        action_id: str,
        *,
        channel: str = MESH_OPS,
        ts: str | None = None,
        view_id: str | None = None,
        wait: float = 0,
        **wanted: Any,
    ) -> Outcome:
        """Press a button or choose in a menu, on the message `ts` or in the open view `view_id`.

        The other fields are those of `Wanted`: block_id, value, values, forged. With `forged` a value is
        sent as it is; without `ts` the newest message with such an element is meant.
        """
        aim = Wanted(action_id=action_id, **wanted)
        person = self._person(user, forged=aim.forged)
        place = self._channel(user, channel, forged=aim.forged or view_id is not None)
        glance = self._glance(person, place)
        if view_id is not None:
            pressed, error, delivery = await self._press_in_view(person, self._view(person, view_id), aim)
        else:
            pressed, error, delivery = await self._press_in_message(person, place, ts, aim)
        await self._linger(glance, wait)
        question = pressed.element.get("confirm")
        return glance.outcome(ok=error is None, error=error, ack_ms=delivery.ack_ms, confirm=question)

    async def _press_in_message(
        self, person: Person, channel: Channel, ts: str | None, aim: Wanted
    ) -> tuple[Pressed, str | None, Delivery]:
        said = self._world.conversations
        where, pressed = find_in_message(said, aim, channel=channel.id, ts=ts, user=person.id)
        payload = payloads.message_action(
            self._world.workspace,
            person=person,
            channel=channel,
            place=where,
            action=self._action(pressed),
            values=aim.values or {},
        )
        payload["response_url"] = self._urls.make(user=person.id, channel=channel.id, original=where.ts)
        delivery = await self._interact(person, payload)
        return pressed, self._failed_press(person, channel, where.thread_ts, delivery), delivery

    async def _press_in_view(
        self, person: Person, view: View, aim: Wanted
    ) -> tuple[Pressed, str | None, Delivery]:
        pressed = find_in_view(view, aim)
        filled = replace(view, state=state_of(view.source["blocks"], aim.values or {}))
        payload = payloads.view_action(
            self._world.workspace, person=person, view=filled, action=self._action(pressed)
        )
        delivery = await self._interact(person, payload)
        return pressed, (self._trouble(view) if _failure(delivery) else None), delivery

    def _action(self, pressed: Pressed) -> Json:
        return payloads.action_on(
            pressed.block_id, pressed.element, pressed.value, self._world.conversations.stamp
        )

    async def _interact(self, person: Person, payload: Json) -> Delivery:
        payload["trigger_id"] = self._world.views.new_trigger(person.id)
        delivery, _ = await self._socket.deliver("interactive", payload, accepts_response_payload=False)
        return delivery

    def _failed_press(
        self, person: Person, channel: Channel, thread_ts: str | None, delivery: Delivery
    ) -> str | None:
        match _failure(delivery):
            case None:
                return None
            case "operation_timeout":
                text = "Operation timed out. Apps need to respond within 3 seconds."
            case code:
                text = f"This app could not be reached ({code}). Try again?"
        return self._slack_says(person, channel, text, thread_ts=thread_ts)

    def _trouble(self, view: View) -> str:
        self._world.views.complain(view, {"": TROUBLE})
        self._world.changed()
        return TROUBLE

    async def submit(
        self,
        user: str,
        values: Values,
        *,
        view_id: str | None = None,
        forged: bool = False,
        wait: float = 0,
    ) -> Outcome:
        """Send the open dialog off; `forged` skips what the client itself would complain of."""
        person, channel = self._person(user, forged=forged), self._world.workspace.channels[MESH_OPS]
        view, glance = self._view(person, view_id), self._glance(person, channel)
        said = {} if forged else complaints(view.source["blocks"], values)
        if said:
            self._world.views.complain(view, said)
            self._world.changed()
            return glance.outcome(ok=False)
        filled = replace(view, state=state_of(view.source["blocks"], values), errors={})
        payload = payloads.view_submission(self._world.workspace, person=person, view=filled)
        payload["trigger_id"] = self._world.views.new_trigger(person.id)
        delivery, answer = await self._socket.deliver("interactive", payload, accepts_response_payload=True)
        error = self._trouble(view) if _failure(delivery) else self._after_submit(filled, answer)
        await self._linger(glance, wait)
        open_ = self._world.views.find(view.id)
        taken = error is None and not (open_ and open_.errors)
        return glance.outcome(ok=taken, error=error, ack_ms=delivery.ack_ms)

    def _view(self, person: Person, view_id: str | None) -> View:
        view = self._world.views.find(view_id) if view_id else self._world.views.top(person.id)
        if view is None or view.user != person.id:
            raise CannotAct(f"{person.name} has no such dialog open")
        return view

    def _after_submit(self, view: View, answer: Any) -> str | None:
        """Do what the app's acknowledgement asks for; gives Slack's text if that cannot be done."""
        body = answer if isinstance(answer, dict) else {}
        try:
            self._respond(view, body)
        except SlackError:
            return self._trouble(view)
        self._world.changed()
        return None

    def _respond(self, view: View, body: Json) -> None:
        match body.get("response_action"):
            case None:
                self._world.views.close(view)
            case "clear":
                self._world.views.close(view, everything=True)
            case "errors":
                known = {block["block_id"] for block in view.source["blocks"] if block["type"] == "input"}
                if not body.get("errors") or not set(body["errors"]) <= known:
                    raise SlackError("invalid_arguments")
                self._world.views.complain(view, body["errors"])
            case "update":
                self._world.views.update(view, accepted_view(body.get("view")))
            case "push":
                self._world.views.push(view.user, accepted_view(body.get("view")))
            case _:
                raise SlackError("invalid_arguments")

    async def close(self, user: str, *, view_id: str | None = None) -> Outcome:
        """Close the open dialog unsent; an app that asked for it is told."""
        person, channel = self._person(user, forged=True), self._world.workspace.channels[MESH_OPS]
        view, glance = self._view(person, view_id), self._glance(person, channel)
        everything = bool(view.source.get("clear_on_close"))
        self._world.views.close(view, everything=everything)
        self._world.changed()
        if view.source.get("notify_on_close"):
            payload = payloads.view_closed(
                self._world.workspace, person=person, view=view, is_cleared=everything
            )
            await self._socket.deliver("interactive", payload, accepts_response_payload=False)
        return glance.outcome(ok=True)

    async def home(self, user: str, *, wait: float = 0) -> Outcome:
        """Open the app's Home tab, of which the app is told by an event."""
        person = self._person(user, forged=False)
        channel = self._world.workspace.direct_channel(person.id)
        glance = self._glance(person, channel)
        stamp = self._world.conversations.stamp()
        home = self._world.views.homes.get(person.id)
        self._socket.send_event(
            payloads.app_home_opened(person=person, channel=channel.id, home=home, stamp=stamp)
        )
        await self._linger(glance, wait)
        return glance.outcome(ok=True)

    def _glance(self, person: Person, channel: Channel) -> Glance:
        return Glance(self._world, person.id, channel.id)

    async def _linger(self, glance: Glance, seconds: float) -> None:
        """Give the app some time to show the person something; ends with the first thing shown."""
        clock = asyncio.get_running_loop().time  # real time: a test's own clock may stand still
        until = clock() + seconds
        while not glance.sees_news() and (left := until - clock()) > 0:
            await self._world.change_after(self._world.version, seconds=left)


def _failure(delivery: Delivery) -> str | None:
    match delivery.outcome:
        case "acked":
            return None
        case "timeout":
            return "operation_timeout"
        case _:
            return "dispatch_failed"


def _not_a_command(name: str) -> str:
    return (
        f"{name} is not a valid command. In Slack, all messages that start with the “/” character are "
        "interpreted as commands. If you are trying to send a message and not run a command, try preceding "
        "the “/” with an empty space."
    )


def escaped(workspace: Workspace, text: str) -> str:
    """Command text as `should_escape` sends it: &, <, > as entities, people and channels as ids."""

    def mention(match: re.Match[str]) -> str:
        sign, name = match.groups()
        found = workspace.person(name) if sign == "@" else workspace.channel(name)
        return f"<{sign}{found.id}|{found.name}>" if found else match.group()

    return re.sub(r"(?<!\S)([@#])([\w.-]+)", mention, html.escape(text, quote=False))
