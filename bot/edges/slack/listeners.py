"""What Slack delivers: read, hand over to the desk, which returns at once, and ack. Nothing is decided here.

A listener that works is a deaf bot: Bolt's threads are few, and an ack after three seconds is lost.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from slack_bolt import Ack, App, BoltResponse
from slack_sdk import WebClient

from bot.core.approval import Act
from bot.core.ids import MeshName, RotationId
from bot.core.intent import MAX_REASON, Intent, NotUnderstood, Verb, read_command, read_lifetime
from bot.core.replies import Caller, HelpShown, Refused, Reply
from bot.edges.slack import reading
from bot.edges.slack.doors import ACTS, COMMANDS, Button, Dialog, Field
from bot.edges.slack.faults import SLACK_TROUBLE, fault_of
from bot.edges.slack.reading import Body
from bot.edges.slack.render.blocks import Block
from bot.edges.slack.render.dialogs import ending_looked_for, rejection_dialog, transition_dialog
from bot.edges.slack.render.replies import reply_shown
from bot.flow.ports import Clock, Desk, Errand, Replies, Scheduler

REMEMBERED = timedelta(minutes=10)
"""How long a delivery is recognised as a repeat; Slack's own retries end after six minutes."""
MOST_REMEMBERED = 5000

SECRET_TYPED = Refused(
    sentence="That looks like a private key or a token. It was not read, stored or logged here",
    hint="Slack keeps what was typed: treat it as leaked, delete the message and replace the secret.",
)
_TAKE_IT_OUT = "That looks like a private key or a token: take it out, and treat it as leaked."
_NOT_A_BUTTON = Refused(
    sentence="That button does not belong to a rotation",
    hint="Use the newest card, or `/istio-root status`.",
)
_DIALOG_FAILED = Refused(
    sentence="Slack did not open the dialog in time",
    hint="Try again, or type it: `/istio-root transition <mesh> lifetime=10y <reason>`.",
)
_PRESS_AGAIN = Refused(sentence="Slack did not open the dialog in time", hint="Press the button again.")
_DIALOG_STRANGE = Refused(sentence="That dialog could not be read", hint="Open it again.")

_log = structlog.get_logger(__name__)


class Repeats:
    """Which deliveries were seen lately: Slack may deliver one twice, on two sockets."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, datetime] = OrderedDict()
        self._lock = threading.Lock()

    def is_new(self, key: str) -> bool:
        """Whether this is the first delivery of that key; without a key nothing can be told, so yes."""
        now = self._clock.now()
        with self._lock:
            while self._seen and (
                len(self._seen) >= MOST_REMEMBERED or next(iter(self._seen.values())) <= now - REMEMBERED
            ):
                self._seen.popitem(last=False)
            if key in self._seen:
                return False
            if key:
                self._seen[key] = now
        return True


class Listeners:
    """The doors of the bot in Slack."""

    def __init__(
        self,
        desk: Desk,
        scheduler: Scheduler,
        *,
        client: WebClient,
        replies: Replies,
        clock: Clock,
        meshes: Sequence[MeshName],
        lifetime: timedelta,
    ) -> None:
        self._desk = desk
        self._scheduler = scheduler
        self._client = client
        self._replies = replies
        self._meshes = tuple(meshes)
        self._lifetime = lifetime
        self._repeats = Repeats(clock)

    def register(self, app: App) -> None:
        """Put every door into the app."""
        app.middleware(self.drop_repeats)
        for command in COMMANDS:
            app.command(command.name)(self.typed)
        for button in ACTS:
            app.action(button)(self.pressed)
        app.action(Button.REJECT)(self.pressed_reject)
        app.action(Button.END)(self.pressed_end)
        app.action(re.compile(".*"))(self.pressed_something_else)
        app.view(Dialog.TRANSITION)(self.sent_transition)
        app.view(Dialog.REJECTION)(self.sent_rejection)
        app.view(Dialog.ENDING)(self.sent_ending)
        app.error(self.failed)

    def drop_repeats(self, body: Body, next: Callable[[], None]) -> BoltResponse | None:  # noqa: A002
        """Ack a repeated delivery and do nothing more."""
        key = reading.delivery_key(body)
        if self._repeats.is_new(key):
            next()
            return None
        _log.info("repeated delivery dropped", kind=body.get("type") or body.get("command"))
        return BoltResponse(status=200, body="")

    def typed(self, ack: Ack, body: Body) -> None:
        """A slash command."""
        caller, text = reading.typist(body), reading.command_text(body)
        if reading.looks_secret(text):
            _log.warning("secret-looking command refused", user=caller.user)
            _answer(ack, SECRET_TYPED)
            return
        understood = self._read(text, caller.channel)
        if isinstance(understood, NotUnderstood):
            _answer(ack, HelpShown(meshes=self._meshes, lead=understood.sentence))
        elif isinstance(understood, dict):
            ack()
            self._open(body, caller=caller, view=understood, failed=_DIALOG_FAILED)
        else:
            self._take(ack, caller, intent=understood)

    def _read(self, text: str, channel: str) -> Intent | NotUnderstood | Block:
        """What is wanted; a dialog when a transition's details are."""
        if text.lower() == Verb.TRANSITION:
            return transition_dialog(self._meshes, lifetime=self._lifetime, channel=channel)
        read = read_command(text, meshes=self._meshes)
        if isinstance(read, Intent) and read.verb is Verb.TRANSITION and not read.reason:
            lifetime = read.lifetime or self._lifetime
            return transition_dialog((read.mesh,), lifetime=lifetime, channel=channel)
        return read

    def _open(self, body: Body, *, caller: Caller, view: Block, failed: Refused) -> str:
        """Before anything slow: a trigger lives three seconds. Gives the id of what is open, or nothing."""
        try:
            opened = self._client.views_open(trigger_id=str(body.get("trigger_id", "")), view=view)
        except SLACK_TROUBLE as error:
            _log.warning("dialog not opened", user=caller.user, fault=fault_of(error).code)
            self._say(caller, failed)
            return ""
        return reading.view_id(opened.data)

    def _take(self, ack: Ack, caller: Caller, *, intent: Intent) -> None:
        if intent.verb is Verb.HELP:
            _answer(ack, HelpShown(meshes=self._meshes))
            return
        if reply := self._desk.command(caller, intent):
            _answer(ack, reply)
        else:
            ack()

    def pressed(self, ack: Ack, body: Body) -> None:
        """A button that decides at once."""
        ack()
        caller, rotation_id = reading.presser(body), reading.pressed_rotation(body)
        if rotation_id is None:
            self._refuse(caller, _NOT_A_BUTTON)
            return
        self._decide(caller, ACTS[Button(body["actions"][0]["action_id"])], rotation_id, note="")

    def pressed_reject(self, ack: Ack, body: Body) -> None:
        """Reject asks for the reason; the decision comes with the dialog."""
        ack()
        caller, rotation_id = reading.presser(body), reading.pressed_rotation(body)
        if rotation_id is None:
            self._refuse(caller, _NOT_A_BUTTON)
            return
        dialog = rejection_dialog(rotation_id, channel=caller.channel)
        self._open(body, caller=caller, view=dialog, failed=_PRESS_AGAIN)

    def pressed_end(self, ack: Ack, body: Body) -> None:
        """End here shows what is missing; the look at the mesh fills the dialog, the decision comes with it."""
        ack()
        caller, rotation_id = reading.presser(body), reading.pressed_rotation(body)
        if rotation_id is None:
            self._refuse(caller, _NOT_A_BUTTON)
            return
        if view := self._open(body, caller=caller, view=ending_looked_for(), failed=_PRESS_AGAIN):
            waiting = replace(caller, view=view)
            self._say_if(waiting, self._desk.consider_end(waiting, rotation_id))

    def pressed_something_else(self, ack: Ack, body: Body) -> None:
        """A button of another version of the bot."""
        ack()
        self._refuse(reading.presser(body), _NOT_A_BUTTON)

    def sent_rejection(self, ack: Ack, body: Body) -> None:
        """The rejection's reason: the desk checks person, place and rotation as for any button."""
        if reading.looks_secret(reason := reading.entered(body, Field.REASON)):
            _fault_in_dialog(ack, Field.REASON, _TAKE_IT_OUT)
            return
        ack()
        caller = reading.sender(body)
        rotation_id = reading.rotation_id(reading.carried(body).get("rotation"))
        if rotation_id is None:
            self._refuse(caller, _DIALOG_STRANGE)
            return
        self._decide(caller, Act.REJECT, rotation_id, note=reason[:MAX_REASON])

    def sent_ending(self, ack: Ack, body: Body) -> None:
        """The confirmation, for what was shown: the desk looks at the mesh once more before it counts."""
        if reading.looks_secret(reason := reading.entered(body, Field.REASON)):
            _fault_in_dialog(ack, Field.REASON, _TAKE_IT_OUT)
            return
        ack()
        caller, carried = reading.sender(body), reading.carried(body)
        rotation_id = reading.rotation_id(carried.get("rotation"))
        if rotation_id is None:
            self._refuse(caller, _DIALOG_STRANGE)
            return
        note, shown = reason[:MAX_REASON], carried.get("shown", "")
        self._say_if(caller, self._desk.decide(caller, Act.END, rotation_id, note=note, shown=shown))

    def sent_transition(self, ack: Ack, body: Body) -> None:
        """The details of a transition; the same intent as if they had been typed."""
        if reading.looks_secret(reading.entered(body, Field.REASON)):
            _fault_in_dialog(ack, Field.REASON, _TAKE_IT_OUT)
            return
        ack()
        caller, intent = reading.sender(body), self._intent(body)
        if intent is None:
            self._refuse(caller, _DIALOG_STRANGE)
            return
        self._say_if(caller, self._desk.command(caller, intent))

    def _intent(self, body: Body) -> Intent | None:
        mesh = MeshName(reading.carried(body).get("mesh") or reading.entered(body, Field.MESH))
        lifetime = read_lifetime(reading.entered(body, Field.LIFETIME))
        if mesh not in self._meshes or isinstance(lifetime, NotUnderstood):
            return None
        reason = " ".join(reading.entered(body, Field.REASON).split())[:MAX_REASON]
        return Intent(verb=Verb.TRANSITION, mesh=mesh, lifetime=lifetime, reason=reason, spelled_out=True)

    def _decide(self, caller: Caller, act: Act, rotation_id: RotationId, *, note: str) -> None:
        self._say_if(caller, self._desk.decide(caller, act, rotation_id, note=note))

    def _refuse(self, caller: Caller, refusal: Refused) -> None:
        """A payload that no card or dialog of ours makes; its content is not worth logging."""
        _log.warning("strange payload refused", team=caller.team, user=caller.user, channel=caller.channel)
        self._say(caller, refusal)

    def _say_if(self, caller: Caller, reply: Reply | None) -> None:
        if reply is not None:
            self._say(caller, reply)

    def _say(self, caller: Caller, reply: Reply) -> None:
        """On a worker, for Slack may be slow; never raises, because Bolt would take its ack back.

        When no worker takes it, it is said here: then the bot is stopping, and few are left to wait.
        """

        def say() -> None:
            self._replies.reply(caller, reply)

        try:
            taken = self._scheduler.soon(say, kind=Errand.WORD, turned_away=say)
        except Exception as error:  # noqa: BLE001
            _log.error("work not taken", user=caller.user, exc_info=error)
            taken = False
        if not taken:
            say()

    def failed(self, error: Exception) -> None:
        """A bug in a listener: the person sees Slack's own error, the log the trace; never the payload."""
        _log.error("listener failed", exc_info=error)


def _answer(ack: Ack, reply: Reply) -> None:
    """The whole answer in the ack: it needs nobody."""
    shown = reply_shown(reply)
    ack(response_type="ephemeral", text=shown.text, blocks=list(shown.blocks))


def _fault_in_dialog(ack: Ack, field: Field, sentence: str) -> None:
    ack(response_action="errors", errors={field: sentence})
