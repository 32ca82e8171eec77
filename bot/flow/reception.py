"""In front of the desk: says at once what becomes of a wish, and has a worker see to it.

The same wish is seen to once at a time. Whoever asks for a check or a verification that is under way
takes part in it and is named in its report; a plan or a press that is under way is not begun again.
So what waits for a worker is bounded by meshes and people, however often somebody asks.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from bot.core.approval import Act
from bot.core.ids import RotationId
from bot.core.intent import Intent, Verb
from bot.core.replies import Begun, Caller, Noted, Refused, Reply, UnderWay
from bot.flow.desk import FrontDesk, ReportBug, Waiting, person_of
from bot.flow.ports import Clock, Errand, Replies, Scheduler

KINDS = {
    Verb.CHECK: Errand.LOOK,
    Verb.TRANSITION: Errand.LOOK,
    Verb.VERIFY: Errand.LOOK,
    Verb.STATUS: Errand.WORD,
    Verb.HISTORY: Errand.WORD,
    Verb.CANCEL: Errand.DECISION,
    Verb.HELP: Errand.WORD,
}
SHARED = frozenset({Verb.CHECK, Verb.VERIFY})
"""What is the same for everybody who asks."""
FOR_ALL = SHARED | {Verb.TRANSITION}
"""What one person's wish also blocks for another; anything else is under way for one person alone."""
POSTED = FOR_ALL
"""What is answered in the channel, after a while: the person is told to wait for it. Anything else is
answered to the person alone, and two such messages at once may come in either order."""

NOT_TAKEN = Refused(
    sentence="Rootkeeper could not take that: it is stopping, or has too much to do",
    hint="Try again in a minute.",
)

Key = tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Party:
    """Who waits for one errand, first asker first; read and changed under the reception's lock."""

    callers: list[Caller]
    since: datetime
    answered: bool = False
    """The worker has asked who waits, and answers them."""
    over: bool = False
    """It was seen to, or they were told that it will not be."""

    def join(self, caller: Caller) -> None:
        """Wait with them; nobody waits twice."""
        if all((one.team, one.user) != (caller.team, caller.user) for one in self.callers):
            self.callers.append(caller)


class Reception:
    """Implements the port Desk."""

    def __init__(
        self,
        desk: FrontDesk,
        scheduler: Scheduler,
        *,
        replies: Replies,
        clock: Clock,
        channel: str,
        report_bug: ReportBug,
    ) -> None:
        self._desk = desk
        self._scheduler = scheduler
        self._replies = replies
        self._clock = clock
        self._channel = channel
        self._report_bug = report_bug
        self._under_way: dict[Key, Party] = {}
        self._lock = threading.Lock()

    def command(self, caller: Caller, intent: Intent) -> Reply | None:
        """Somebody typed a command that was understood; gives what to say at once, if anything."""
        verb, mesh = intent.verb, intent.mesh
        key = (verb, mesh) if verb in FOR_ALL else (verb, mesh, caller.team, caller.user)
        party = Party(callers=[caller], since=self._clock.now())
        if before := self._under_way_before(key, party, shared=verb in SHARED):
            first = person_of(before.callers[0])
            return UnderWay(verb=verb, mesh=mesh, first=first, since=before.since, joined=verb in SHARED)

        def work(waiting: Waiting) -> None:
            if verb in SHARED:
                self._desk.look(caller, waiting, intent)
            else:
                self._desk.command(caller, intent)

        if not self._handed_over(key, party, kind=KINDS[verb], work=work):
            return NOT_TAKEN
        return Begun(verb=verb, mesh=mesh, channel=self._channel) if verb in POSTED else None

    def decide(
        self, caller: Caller, act: Act, rotation_id: RotationId, *, note: str, shown: str = ""
    ) -> Reply | None:
        """Somebody pressed a button; gives what to say at once, if the decision itself will not say it."""

        def work(_waiting: Waiting) -> None:
            self._desk.decide(caller, act, rotation_id, note=note, shown=shown)

        return self._press(caller, ("decide", act, rotation_id), work)

    def consider_end(self, caller: Caller, rotation_id: RotationId) -> Reply | None:
        """Somebody wants to know what ending here would leave; gives what to say at once, if anything."""

        def work(_waiting: Waiting) -> None:
            self._desk.consider_end(caller, rotation_id)

        return self._press(caller, ("consider", Act.END, rotation_id), work)

    def _press(self, caller: Caller, what: Key, work: Callable[[Waiting], None]) -> Reply | None:
        key = (*what, caller.team, caller.user)
        party = Party(callers=[caller], since=self._clock.now())
        if self._under_way_before(key, party, shared=False):
            return Noted(sentence="You pressed that before: it is being seen to, and its answer follows")
        return None if self._handed_over(key, party, kind=Errand.DECISION, work=work) else NOT_TAKEN

    def _under_way_before(self, key: Key, party: Party, *, shared: bool) -> Party | None:
        """The same wish, if somebody had it before; else this one is under way from now on."""
        with self._lock:
            before = self._under_way.setdefault(key, party)
            if before is party:
                return None
            if shared:
                before.join(party.callers[0])
            return Party(callers=before.callers[:1], since=before.since)

    def _handed_over(self, key: Key, party: Party, *, kind: Errand, work: Callable[[Waiting], None]) -> bool:
        def see_to_it() -> None:
            try:
                work(partial(self._waiting, key, party))
            finally:
                self._end(key, party)

        turned_away = partial(self._turn_away, key, party)
        try:
            taken = self._scheduler.soon(see_to_it, kind=kind, turned_away=turned_away)
        except Exception as bug:  # noqa: BLE001 - a door must not fail: Slack would say something of its own
            self._report_bug(bug)
            taken = False
        if not taken:
            for joined_meanwhile in self._end(key, party)[1:]:
                self._replies.reply(joined_meanwhile, NOT_TAKEN)
        return taken

    def _waiting(self, key: Key, party: Party) -> tuple[Caller, ...]:
        """For the worker, who answers them from now on. The same wish is a new one."""
        with self._lock:
            self._forget(key, party)
            party.answered = not party.over
            return () if party.over else tuple(party.callers)

    def _end(self, key: Key, party: Party) -> tuple[Caller, ...]:
        """It is over; gives whom no worker answers, once."""
        with self._lock:
            self._forget(key, party)
            left = () if party.over or party.answered else tuple(party.callers)
            party.over = True
            return left

    def _forget(self, key: Key, party: Party) -> None:
        if self._under_way.get(key) is party:
            del self._under_way[key]

    def _turn_away(self, key: Key, party: Party) -> None:
        what = " ".join(key[:2]) if key[0] in tuple(Verb) else key[1]
        for caller in self._end(key, party):
            self._replies.reply(
                caller,
                Refused(
                    sentence=f"Rootkeeper is being stopped: your `{what}` was not seen through to its end",
                    hint="Give it a minute to start again. Then see what is so before you ask anew.",
                ),
            )
