"""Tells what stands in the outbox: redraws first, posts in their order, within Slack's limits, until it is told.

Nothing here sleeps while others wait: whatever cannot be said now is put back with a time. A message
that Slack took but that could not be recorded as told is remembered and recorded before anything else
is said. What may be said twice is a post whose answer never came (a time-out, a crash): Slack has no
key by which it would know it again. Slack's limits are kept by the monotonic clock; a moment in the
record that lies ahead of now is a wrong clock's, and holds nothing up.
"""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from slack_sdk import WebClient

from bot.core.record import (
    Card,
    CheckCouldNotRun,
    DailyLine,
    Milestone,
    Placement,
    ReportPosted,
    RequestFailed,
    Result,
)
from bot.core.rotation import Rotation
from bot.edges.slack.faults import SLACK_TROUBLE, Fault, Kind, fault_of
from bot.edges.slack.render import Rendered, render
from bot.edges.slack.telling import Told, Voice
from bot.errors import RecordAbsent, RootkeeperError
from bot.flow.ports import LONGEST_REST, Anchor, Clock, Outbox, Queued, Store

BATCH = 20
BETWEEN_EDITS = timedelta(seconds=2)
"""Of one subject; chat.update allows about 50 a minute for the whole app."""
BETWEEN_POSTS = timedelta(seconds=1)
"""In one channel."""
FLEETING = (DailyLine, CheckCouldNotRun, ReportPosted, RequestFailed)
"""What was so when it was written and is of no use a day later. Everything else happened or still
stands (a result, a card, a warning that is given once): it is told, however late."""
STALE_AFTER = timedelta(hours=24)
CLOSED_FOR = timedelta(minutes=1)
"""Between tries when a person has to do something first: invite the bot, unarchive, a new token."""
FILE_TRIES = 5
"""Half a minute; then a message says it: the way to Slack's file servers may be closed for good."""
MOST_TRIES = 12
"""Twenty minutes with the back-off, of what is refused or not drawn; then the rest of the thread may go
on without it."""
WAIT_FOR_ANCHOR = timedelta(minutes=1)
"""A reply whose thread is gone waits this long for a new one, then stands in the channel by itself."""

_log = structlog.get_logger(__name__)


class _Paced(Exception):
    """Too soon after the one before: the message simply stays due."""


class Poster:
    """One thread that delivers; `deliver_due` is one pass of it."""

    def __init__(
        self,
        outbox: Outbox,
        store: Store,
        *,
        client: WebClient,
        channel: str,
        clock: Clock,
        approvers: Sequence[str],
        fence: Callable[[], None],
        poll: timedelta = timedelta(seconds=1),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`fence` is asked before every message; raises NotLeader when another process may tell it."""
        self._outbox = outbox
        self._store = store
        self._voice = Voice(client)
        self._channel = channel
        self._clock = clock
        self._approvers = tuple(approvers)
        self._fence = fence
        self._poll = poll
        self._monotonic = monotonic
        self._unrecorded: dict[int, tuple[Queued, Told]] = {}
        self._held: set[str] = set()
        """Subjects of which this pass put a post back: whatever follows of them waits for the next."""
        self._next_post: dict[str, float] = {}
        """By channel, on the monotonic clock."""
        self._pacing: set[str] = set()
        """Channels in which this pass came too soon: whatever follows waits too, to keep the order."""
        self._next_edit = monotonic()
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._troubles: dict[str, str] = {}

    @property
    def trouble(self) -> str:
        """Why the oldest untold message is not told yet, and the cure; empty when none waits."""
        return next(iter(tuple(self._troubles.values())), "")

    def start(self) -> None:
        """Deliver on a thread of its own from now on."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="slack-poster", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something was committed: look now."""
        self._woken.set()

    def stop(self, within: timedelta = timedelta(seconds=12)) -> None:
        """Finish the call under way, if any, and stop."""
        self._stopping.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(within.total_seconds())

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.deliver_due()
            except RootkeeperError as error:
                _log.warning("nothing told", reason=error.message)
            except Exception as error:  # noqa: BLE001  (a bot without a voice must not stay so)
                _log.error("poster failed", exc_info=error)
            self._woken.wait(self._poll.total_seconds())
            self._woken.clear()

    def deliver_due(self) -> int:
        """One pass over what is due; gives how many messages were told.

        Raises:
            NotLeader: another process may be telling them.
            StoreError: what is due cannot be read, or what was told not be recorded.
        """
        told = 0
        self._catch_up()
        self._pacing.clear()
        self._held.clear()
        for queued in self._outbox.due(self._clock.now(), limit=BATCH):
            if self._stopping.is_set():
                break
            told += self._deliver(queued)
        return told

    def _catch_up(self) -> None:
        """Record what was told and not recorded: a card's redraw would be posted as a second card."""
        for queued, told in tuple(self._unrecorded.values()):
            self._record(queued, told)

    def _deliver(self, queued: Queued) -> bool:
        """Tell one message, or put it back."""
        self._fence()
        now = self._clock.now()
        if queued.message.subject in self._held and queued.message.placement is not Placement.ANCHOR:
            return False
        try:
            told = self._tell(queued, now)
        except _Paced:
            return False
        except RecordAbsent as error:
            self._outbox.given_up(queued, now=now, fault=error.message)
            return False
        except SLACK_TROUBLE as error:
            self._put_back(queued, fault_of(error), now=now)
            return False
        except RootkeeperError:
            raise
        except Exception as error:  # noqa: BLE001  (a message that cannot be drawn must not stop the others)
            _log.error("message not drawn", reference=_reference(queued), exc_info=error)
            self._put_back(queued, Fault(kind=Kind.UNDRAWN, code=f"bug, {_reference(queued)}"), now=now)
            return False
        if told is None:
            return False
        self._record(queued, told)
        return True

    def _record(self, queued: Queued, told: Told) -> None:
        self._unrecorded[queued.id] = queued, told
        self._outbox.delivered(queued, channel=told.channel, ts=told.ts, now=self._clock.now())
        del self._unrecorded[queued.id]
        self._troubles.pop(_key(queued), None)
        _log.info("message told", id=queued.id, subject=queued.message.subject, edit=told.edit)

    def _tell(self, queued: Queued, now: datetime) -> Told | None:
        """Say it; None when it was put back."""
        anchor = self._outbox.anchor(queued.message.subject)
        match queued.message.placement:
            case Placement.NEW:
                return self._post(queued, self._channel)
            case Placement.ANCHOR:
                if anchor is None:
                    return self._post(queued, self._channel)
                return self._redraw(queued, anchor, now=now)
            case _:
                return self._answer(queued, anchor, now=now)

    def _redraw(self, queued: Queued, anchor: Anchor, *, now: datetime) -> Told | None:
        """Change the subject's own message; when that cannot be, post it anew."""
        if rest := self._rest_before_edit(anchor, now):
            self._outbox.postponed(queued, until=now + rest, fault="")
            return None
        try:
            return self._voice.redraw(self._rendered(queued), anchor, reference=_reference(queued))
        except SLACK_TROUBLE as error:
            fault = fault_of(error)
            if fault.kind is Kind.PACED:
                self._next_edit = self._in(fault.retry_after or BETWEEN_EDITS)
            if not self._is_gone(fault, anchor):
                raise
        _log.warning("own message is gone", subject=queued.message.subject, fault=fault.code)
        self._outbox.forget_anchor(queued.message.subject)
        return self._post(queued, self._channel)

    def _rest_before_edit(self, anchor: Anchor, now: datetime) -> timedelta:
        """Until Slack takes edits again, and until this one was not drawn just now."""
        paced = timedelta(seconds=max(self._next_edit - self._monotonic(), 0.0))
        drawn_ago = now - anchor.drawn_at
        just_now = timedelta(0) <= drawn_ago < BETWEEN_EDITS
        return min(max(paced, BETWEEN_EDITS - drawn_ago if just_now else timedelta(0)), LONGEST_REST)

    def _in(self, rest: timedelta) -> float:
        return self._monotonic() + rest.total_seconds()

    def _is_gone(self, fault: Fault, anchor: Anchor) -> bool:
        """Deleted or frozen; or in a channel that is closed while the settings name another."""
        return fault.kind is Kind.GONE or (
            fault.kind is Kind.CLOSED and anchor.channel != self._channel and fault.code in _CHANNEL_FAULTS
        )

    def _answer(self, queued: Queued, anchor: Anchor | None, *, now: datetime) -> Told | None:
        """Into the subject's thread."""
        if anchor is None:
            if abs(now - queued.created_at) < WAIT_FOR_ANCHOR:
                self._outbox.postponed(queued, until=now + BETWEEN_EDITS, fault="")
                return None
            return self._post(queued, self._channel)
        try:
            return self._post(queued, anchor.channel, thread_ts=anchor.ts)
        except SLACK_TROUBLE as error:
            if self._is_gone(fault_of(error), anchor):
                self._outbox.forget_anchor(queued.message.subject)
            raise

    def _post(self, queued: Queued, channel: str, *, thread_ts: str = "") -> Told:
        now = self._monotonic()
        if channel in self._pacing or now < self._next_post.get(channel, now):
            self._pacing.add(channel)
            raise _Paced
        self._next_post[channel] = self._in(BETWEEN_POSTS)
        try:
            return self._voice.post(
                queued.message.content,
                self._rendered(queued),
                channel=channel,
                thread_ts=thread_ts,
                broadcast=bool(thread_ts) and queued.message.placement is Placement.BROADCAST,
                reference=_reference(queued),
                with_files=queued.attempts < FILE_TRIES,
            )
        except SLACK_TROUBLE as error:
            if wait := fault_of(error).retry_after:
                self._next_post[channel] = self._in(wait)
            raise

    def _rendered(self, queued: Queued) -> Rendered:
        content = queued.message.content
        rotation: Rotation | None = None
        if isinstance(content, Card | Milestone | Result):
            rotation = self._store.rotation(content.rotation_id)
        return render(content, rotation=rotation, approvers=self._approvers)

    def _put_back(self, queued: Queued, fault: Fault, *, now: datetime) -> None:
        """Not told: later, or never."""
        said: dict[str, Any] = {"id": queued.id, "subject": queued.message.subject, "fault": fault.code}
        old = now - queued.created_at >= STALE_AFTER
        stale = old and isinstance(queued.message.content, FLEETING)
        hopeless = fault.kind is Kind.UNDRAWN or (fault.kind is Kind.REFUSED and old)
        if fault.kind is Kind.UNSAYABLE or stale or (hopeless and queued.attempts >= MOST_TRIES):
            self._outbox.given_up(queued, now=now, fault=fault.code)
            self._troubles.pop(_key(queued), None)
            _log.error("message given up", **said)
            return
        until = now + _back_off(fault, queued.attempts)
        self._outbox.postponed(queued, until=until, fault=fault.code)
        self._held.add(queued.message.subject)
        self._troubles[_key(queued)] = f"Slack: {fault.code}. {fault.hint}".strip()
        _log.warning("message not told yet", **said, until=until.isoformat(), hint=fault.hint)


_CHANNEL_FAULTS = frozenset({"channel_not_found", "is_archived", "not_in_channel"})


def _key(queued: Queued) -> str:
    """A redraw is replaced by the next one under another number; it is the same message for all that."""
    redraw = queued.message.placement is Placement.ANCHOR
    return queued.message.subject if redraw else str(queued.id)


def _reference(queued: Queued) -> str:
    return f"outbox-{queued.id}"


def _back_off(fault: Fault, attempts: int) -> timedelta:
    if fault.retry_after:
        return min(fault.retry_after, LONGEST_REST)
    if fault.kind is Kind.CLOSED:
        return CLOSED_FOR
    return min(timedelta(seconds=2.0 ** min(attempts, 9)), LONGEST_REST)
