"""The desk behind every door: sees to what was typed or pressed, on a worker, and to its answer.

Whatever goes wrong, the person hears of it: a refusal and small talk as a reply for their eyes,
everything that others should see as a message in the outbox.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from bot.core.approval import Act
from bot.core.ids import MeshName, RotationId
from bot.core.intent import Intent, Verb
from bot.core.plan import Plan
from bot.core.record import AuditEvent, Change, Event, Message, Placement, ReportPosted, RequestFailed
from bot.core.replies import Caller, HelpShown, HistoryShown, Noted, Refused, Reply, StatusShown
from bot.core.rotation import Person, Rotation, RotationState, propose
from bot.errors import LostRace, RecordAbsent, RootkeeperError, StoreError
from bot.flow.decide import TRIES, Court, Decided, consider_end, decide, heard
from bot.flow.look import Look, Looks
from bot.flow.ports import MeshPorts, Replies, Scheduler
from bot.flow.propose import Draft, draft_plan
from bot.flow.remind import overtaken
from bot.flow.tell import straggler_file, telling

ReportBug = Callable[[BaseException], str]
"""Logs a bug with its trace and gives the reference under which the log has it."""

Waiting = Callable[[], tuple[Caller, ...]]
"""Everybody who waits for this answer, first asker first. Call it only when the answer is there: it closes the
list, and whoever asks later starts a new look.

Empty when they were told meanwhile that none will come."""

HISTORY_LENGTH = 10


def person_of(caller: Caller) -> Person:
    """A caller as the record names people."""
    return Person(team=caller.team, user=caller.user, name=caller.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontDesk:
    """Does what `flow.reception` hands to a worker: takes as long as it takes, and never raises."""

    court: Court
    meshes: Mapping[MeshName, MeshPorts]
    looks: Looks
    replies: Replies
    scheduler: Scheduler
    report_bug: ReportBug

    def command(self, caller: Caller, intent: Intent) -> None:
        """Somebody typed a command that was understood."""
        self._guarded(lambda: (caller,), intent.verb, intent.mesh, lambda: self._obey(caller, intent))

    def look(self, first: Caller, waiting: Waiting, intent: Intent) -> None:
        """A check or a verification, for everybody who asked for it until it was had."""
        self._guarded(waiting, intent.verb, intent.mesh, lambda: self._look(first, waiting, intent))

    def decide(
        self, caller: Caller, act: Act, rotation_id: RotationId, *, note: str, shown: str = ""
    ) -> None:
        """Somebody pressed a button or typed its command.

        What fails is theirs to hear alone: anybody can press, and the button is still there.
        """

        def work() -> None:
            self._decide(caller, act, rotation_id, note=note, shown=shown)

        self._guarded(lambda: (caller,), act, None, lambda: self._pressed(caller, work))

    def consider_end(self, caller: Caller, rotation_id: RotationId) -> None:
        """Somebody wants to know what ending here would leave."""

        def work() -> None:
            mesh = self._mesh_of(rotation_id)
            self._answer(caller, consider_end(self.court, mesh, caller, rotation_id=rotation_id))

        self._guarded(lambda: (caller,), Act.END, None, lambda: self._pressed(caller, work))

    def _pressed(self, caller: Caller, work: Callable[[], None]) -> None:
        try:
            work()
        except RecordAbsent:
            self.replies.reply(caller, Refused(sentence="There is no such rotation."))
        except RootkeeperError as fault:
            said = Refused(sentence=f"That did not work: {fault.message}", hint=fault.hint)
            self.replies.reply(caller, said)

    # --- commands --------------------------------------------------------------------------------

    def _obey(self, caller: Caller, intent: Intent) -> None:
        match intent.verb:
            case Verb.CHECK | Verb.VERIFY:
                self._look(caller, lambda: (caller,), intent)
            case Verb.TRANSITION:
                self._request(caller, intent)
            case Verb.STATUS | Verb.HISTORY | Verb.CANCEL if not self._admitted((caller,), intent):
                return
            case Verb.STATUS:
                self.replies.reply(caller, self._status())
            case Verb.HISTORY:
                self.replies.reply(caller, self._history(intent.mesh))
            case Verb.CANCEL:
                self._cancel(caller, intent)
            case Verb.HELP:
                self.replies.reply(caller, HelpShown(meshes=tuple(self.meshes)))
            case _:
                assert_never(intent.verb)

    def _mesh(self, intent: Intent) -> MeshPorts:
        if intent.mesh not in self.meshes:
            raise RootkeeperError(f"there is no mesh {intent.mesh}; known: {', '.join(self.meshes)}")
        return self.meshes[intent.mesh]

    def _admitted(self, callers: tuple[Caller, ...], intent: Intent) -> tuple[Caller, ...]:
        """Those of them who may see what this bot knows; the others are told why not."""
        admitted = []
        for caller in callers:
            hearing = heard(self.court, caller, Act.LOOK, rotation=None)
            if hearing.refusal:
                self._audit_refusal(
                    caller, intent.mesh, hearing.person, act=intent.verb, code=hearing.refusal.code
                )
                self.replies.reply(caller, Refused(sentence=hearing.refusal.sentence))
            else:
                admitted.append(caller)
        return tuple(admitted)

    def _look(self, first: Caller, waiting: Waiting, intent: Intent) -> None:
        mesh = self._mesh(intent)
        if self._admitted((first,), intent):
            seen = self._seen(mesh, intent)
            if callers := waiting():
                self._post_look((first, *self._admitted(callers[1:], intent)), seen)
        elif joined := self._admitted(waiting()[1:], intent):
            self._post_look(joined, self._seen(mesh, intent))

    def _seen(self, mesh: MeshPorts, intent: Intent) -> Look:
        return self.looks.check(mesh) if intent.verb is Verb.CHECK else self.looks.verify(mesh)

    def _post_look(self, callers: tuple[Caller, ...], seen: Look) -> None:
        now = self.court.clock.now()
        subject = f"report/{self.court.keys.rotation_id()}"
        person, *others = map(person_of, callers)
        posted = Message(
            subject=subject,
            placement=Placement.NEW,
            content=ReportPosted(report=seen.report, person=person, others=tuple(others)),
        )
        name = f"{seen.report.mesh}-{seen.report.kind}"
        audit = AuditEvent(
            event=Event.CHECKED,
            at=now,
            mesh=seen.report.mesh,
            person=person,
            channel=callers[0].channel,
            detail=(("kind", seen.report.kind), ("verdict", seen.report.verdict), *_with(others)),
        )
        messages = (posted, *straggler_file(subject, name, seen.report.stragglers, at=now))
        self.court.store.commit(Change(messages=messages, audit=(audit,)))

    def _status(self) -> StatusShown:
        checks = {name: self.court.store.last_check(name) for name in self.meshes}
        return StatusShown(
            active=self.court.store.active_rotations(),
            checks=tuple(record for record in checks.values() if record),
            never_checked=tuple(name for name, record in checks.items() if record is None),
            overtaken=overtaken(self.court.store, self.meshes, now=self.court.clock.now()),
        )

    def _history(self, mesh: MeshName) -> HistoryShown:
        """One more is asked for than is shown: whether there are older ones."""
        past = self.court.store.past_rotations(mesh, limit=HISTORY_LENGTH + 1)
        older = len(past) > HISTORY_LENGTH
        return HistoryShown(mesh=mesh, rotations=past[:HISTORY_LENGTH], older=older)

    def _cancel(self, caller: Caller, intent: Intent) -> None:
        active = self._active(intent.mesh)
        if active is None:
            self.replies.reply(caller, Refused(sentence=f"No rotation of mesh {intent.mesh} is going on."))
            return
        self._decide(caller, Act.CANCEL, active.id, note="")

    # --- a request ---------------------------------------------------------------------------------

    def _request(self, caller: Caller, intent: Intent) -> None:
        mesh = self._mesh(intent)
        hearing = heard(self.court, caller, Act.REQUEST, rotation=None)
        if hearing.refusal:
            self._audit_refusal(
                caller, intent.mesh, hearing.person, act=Act.REQUEST, code=hearing.refusal.code
            )
            self.replies.reply(caller, Refused(sentence=hearing.refusal.sentence))
        elif not self._is_busy(caller, self._active(intent.mesh)):
            lifetime = intent.lifetime or self.court.rules.root_lifetime
            draft = draft_plan(mesh, self.court.clock, self.court.keys, lifetime=lifetime)
            self._propose(caller, intent, hearing.person, draft=draft)

    def _active(self, mesh: MeshName) -> Rotation | None:
        return next((r for r in self.court.store.active_rotations() if r.mesh == mesh), None)

    def _is_busy(self, caller: Caller, active: Rotation | None) -> bool:
        """A rotation that somebody decided upon is not pushed aside by a new request."""
        if active is None or active.state is RotationState.PROPOSED:
            return False
        standing = f"A rotation of mesh {active.mesh} {active.standing}."
        self.replies.reply(caller, Refused(sentence=standing, hint="See its card, or `/istio-root status`."))
        return True

    def _audit_refusal(self, caller: Caller, mesh: MeshName, person: Person, *, act: str, code: str) -> None:
        audit = AuditEvent(
            event=Event.REFUSED,
            at=self.court.clock.now(),
            mesh=mesh,
            person=person,
            channel=caller.channel,
            detail=(("act", act), ("code", code)),
        )
        self.court.store.commit(Change(audit=(audit,)))

    def _propose(self, caller: Caller, intent: Intent, person: Person, *, draft: Draft) -> None:
        if draft.plan is None:
            refused = RequestFailed(
                what="transition",
                mesh=intent.mesh,
                person=person,
                message=f"No rotation of mesh {intent.mesh}: its preflight found what forbids it. Nothing was written.",
                findings=draft.obstacles,
            )
            self._post(refused)
            return
        if self._recorded(caller, intent, person, plan=draft.plan):
            self.replies.reply(
                caller, Noted(sentence="The plan passed its preflight; its card asks for an approval.")
            )

    def _recorded(self, caller: Caller, intent: Intent, person: Person, *, plan: Plan) -> bool:
        """Planning takes its time: what stands in the way is looked at only now, and again after a lost race."""
        for _ in range(TRIES):
            before = self._active(intent.mesh)
            if self._is_busy(caller, before):
                return False
            try:
                self.court.store.commit(self._proposal(caller, intent, person, plan=plan, before=before))
            except LostRace:
                continue
            return True
        raise LostRace(f"others are asking for mesh {intent.mesh}, too", hint="Look at the newest card.")

    def _proposal(
        self, caller: Caller, intent: Intent, person: Person, *, plan: Plan, before: Rotation | None
    ) -> Change:
        now = self.court.clock.now()
        rotation = propose(
            plan,
            rotation_id=self.court.keys.rotation_id(),
            requester=person,
            reason=intent.reason,
            now=now,
            lifetime=self.court.rules.approval_lifetime,
        )
        new = telling(rotation, Event.PROPOSED, at=now, person=person, channel=caller.channel)
        if before is None:
            return new
        ended = before.moved(RotationState.SUPERSEDED, now=now, outcome=f"{person.name} asked anew")
        old = telling(ended, Event.SUPERSEDED, at=now, person=person)
        return Change(
            rotation=rotation,
            supersedes=(ended,),
            messages=(*old.messages, *new.messages),
            audit=(*old.audit, *new.audit),
        )

    # --- decisions -----------------------------------------------------------------------------------

    def _decide(
        self, caller: Caller, act: Act, rotation_id: RotationId, *, note: str, shown: str = ""
    ) -> None:
        mesh = self._mesh_of(rotation_id)
        decided = decide(self.court, mesh, caller, act, rotation_id=rotation_id, note=note, shown=shown)
        self._answer(caller, decided)
        if not decided.refusal:
            self.scheduler.advance_soon(rotation_id)

    def _mesh_of(self, rotation_id: RotationId) -> MeshPorts | None:
        """None when somebody took it out of the settings."""
        return self.meshes.get(self.court.store.rotation(rotation_id).mesh)

    def _answer(self, caller: Caller, decided: Decided) -> None:
        outdated = decided.rotation.state is RotationState.STALE
        if decided.offer:
            self.replies.reply(caller, decided.offer)
        elif decided.refusal or outdated:
            self.replies.reply(caller, Refused(sentence=decided.sentence))
        else:
            self.replies.reply(caller, Noted(sentence=decided.sentence))

    # --- faults ----------------------------------------------------------------------------------------

    def _guarded(self, waiting: Waiting, what: str, mesh: MeshName | None, work: Callable[[], None]) -> None:
        """Nothing that fails may fail in silence, and no bug may stop the desk."""
        try:
            work()
        except LostRace as fault:
            self._reply_all(waiting(), Refused(sentence=fault.message, hint=fault.hint))
        except RootkeeperError as fault:
            self._apologise(waiting(), what, mesh, message=fault.message, hint=fault.hint)
        except Exception as bug:  # noqa: BLE001 - the one place where a bug is told to a person
            own, reference = "A fault in Rootkeeper itself.", self.report_bug(bug)
            self._apologise(waiting(), what, mesh, message=own, reference=reference)

    def _reply_all(self, callers: tuple[Caller, ...], reply: Reply) -> None:
        for caller in callers:
            self.replies.reply(caller, reply)

    def _apologise(
        self,
        callers: tuple[Caller, ...],
        what: str,
        mesh: MeshName | None,
        *,
        message: str,
        hint: str = "",
        reference: str = "",
    ) -> None:
        """In the channel, where it stays; for their eyes only when even that cannot be recorded."""
        if not callers:
            return
        person, *others = map(person_of, callers)
        failed = RequestFailed(
            what=what,
            mesh=mesh,
            person=person,
            others=tuple(others),
            message=message,
            hint=hint,
            reference=reference,
        )
        in_dialogs = tuple(caller for caller in callers if caller.view)
        self._reply_all(
            in_dialogs, Refused(sentence=f"That did not work: {message}", hint="The channel says more.")
        )
        try:
            self._post(failed)
        except StoreError as fault:
            said = Refused(sentence=f"That did not work: {message}", hint=fault.message)
            self._reply_all(callers, said)

    def _post(self, content: RequestFailed) -> None:
        subject = f"report/{self.court.keys.rotation_id()}"
        message = Message(subject=subject, placement=Placement.NEW, content=content)
        audit = AuditEvent(
            event=Event.REFUSED,
            at=self.court.clock.now(),
            mesh=content.mesh,
            person=content.person,
            detail=(("act", content.what), ("findings", ", ".join(f.check_id for f in content.findings))),
        )
        self.court.store.commit(Change(messages=(message,), audit=(audit,)))


def _with(others: Sequence[Person]) -> tuple[tuple[str, str], ...]:
    """For the audit row of a look that several asked for."""
    return (("also_for", ", ".join(other.user for other in others)[:500]),) if others else ()
