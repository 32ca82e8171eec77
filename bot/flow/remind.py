"""The scheduled check of one mesh: warns once a threshold, says a line a day, is loud when it could not run.

A rotation of the mesh that stands paused is brought to mind beside it, in its own thread, once a day.
What a rotation changed is checked anew when it has ended: the last check tells of what was before.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from bot.core.authority import AuthorityKind
from bot.core.checks.table import PRESENT, READABLE, RECOGNISED
from bot.core.findings import Finding, Verdict, count_findings
from bot.core.ids import MeshName
from bot.core.notices import (
    Alarms,
    Notice,
    due_alarms,
    due_notice,
    due_reminder,
    holders_of_no_account,
    worth_warning,
)
from bot.core.record import (
    Alarm,
    AuditEvent,
    Change,
    CheckCouldNotRun,
    CheckRecord,
    DailyLine,
    Event,
    Message,
    Placement,
    Report,
    Warned,
    overtaken_at,
    warning_subject,
)
from bot.core.rotation import Rotation
from bot.core.wording import span
from bot.errors import LostRace, RootkeeperError
from bot.flow.look import Look, Looks
from bot.flow.ports import Clock, Keys, MeshPorts, Store
from bot.flow.tell import milestone, telling

BLINDING = (PRESENT.id, READABLE.id, RECOGNISED.id)
"""The checks that say why there is no root to judge."""


RECENT = 10
"""How many of a mesh's latest rotations are searched for the last one that changed it; most are requests that
came to nothing."""


def overtaken(
    store: Store, meshes: Iterable[MeshName], *, now: datetime
) -> tuple[tuple[MeshName, datetime], ...]:
    """Meshes whose last check began before the end of a rotation that changed them, with that end."""
    found = ((mesh, _overtaken_at(store, mesh, now)) for mesh in meshes)
    return tuple((mesh, at) for mesh, at in found if at is not None)


def _overtaken_at(store: Store, mesh: MeshName, now: datetime) -> datetime | None:
    last = store.last_check(mesh)
    if last is None:
        return None
    return overtaken_at(last, store.past_rotations(mesh, limit=RECENT), now=now)


def remind(store: Store, mesh: MeshPorts, clock: Clock, keys: Keys, *, looks: Looks) -> None:
    """Check one mesh as scheduled and commit what is to be told.

    Raises:
        StoreError: nothing could be recorded, so nothing is told.
    """
    began = clock.now()
    _bring_to_mind(store, mesh.name, began)
    try:
        seen = looks.check(mesh)
    except RootkeeperError as fault:
        loud = _could_not_run(store, mesh.name, began, keys, message=fault.message, hint=fault.hint)
        store.commit(loud)
        return
    except Exception:
        bug, hint = "a fault in Rootkeeper itself", "The bot's log has its trace."
        store.commit(_could_not_run(store, mesh.name, began, keys, message=bug, hint=hint))
        raise
    if blind := _why_blind(seen):
        at = seen.snapshot.taken_at
        loud = _could_not_run(store, mesh.name, at, keys, message=blind.summary, hint=blind.hint)
        store.commit(loud)
        return
    try:
        store.commit(_outcome(store, seen, mesh.name, clock.now(), keys))
    except LostRace:
        return  # another check of this mesh told it in the same moment


def _bring_to_mind(store: Store, mesh: MeshName, now: datetime) -> None:
    """What waits for a person is forgotten by people; needs no look at the mesh, which may be away."""
    for rotation in store.active_rotations():
        if rotation.mesh == mesh and due_reminder(rotation, now):
            try:
                store.commit(_reminder(rotation, now))
            except LostRace:
                continue  # decided, or brought to mind, in this very moment


def _reminder(rotation: Rotation, now: datetime) -> Change:
    since = f"for {span(now - rotation.paused_at)} now" if rotation.paused_at else "since before an upgrade"
    note = f"It has been waiting for a decision {since}: {rotation.outcome or 'it is paused'}"
    spoken = milestone(rotation, Event.STILL_PAUSED, at=now, note=note)
    reminded = replace(rotation, reminded_at=now)
    return telling(reminded, Event.STILL_PAUSED, at=now, milestone=spoken)


def _why_blind(seen: Look) -> Finding | None:
    """Why the root's end is not known; None when it is, or when another CA was found, which is left alone."""
    if seen.report.root is not None:
        return None
    found = {finding.check_id: finding for finding in seen.report.findings}
    left_alone = not seen.authority.supported and seen.authority.kind is not AuthorityKind.NONE
    for check_id in BLINDING:
        finding = found.get(check_id)
        if finding and (finding.verdict is Verdict.UNKNOWN or (finding.red and not left_alone)):
            return finding
    return None


def _could_not_run(
    store: Store, mesh: MeshName, at: datetime, keys: Keys, *, message: str, hint: str
) -> Change:
    before = store.last_check(mesh)
    last_success = before.last_success if before else None
    loud = CheckCouldNotRun(mesh=mesh, at=at, message=message, hint=hint, last_success=last_success)
    subject = f"check/{keys.rotation_id()}"
    return Change(
        check=CheckRecord(
            mesh=mesh,
            at=at,
            ok=False,
            summary=message,
            last_success=last_success,
            told_at=before.told_at if before else None,
            alarming=before.alarming if before else (),
            alarms_told=before.alarms_told if before else (),
        ),
        messages=(Message(subject=subject, placement=Placement.NEW, content=loud),),
        audit=(AuditEvent(event=Event.CHECK_FAILED, at=at, mesh=mesh, detail=(("fault", message),)),),
    )


def _outcome(store: Store, seen: Look, mesh: MeshName, now: datetime, keys: Keys) -> Change:
    report, before = seen.report, store.last_check(mesh)
    told_at = before.told_at if before else None
    notice = None
    if report.root is not None and report.remaining is not None and worth_warning(seen.snapshot):
        memory = store.notices(mesh)
        notice = due_notice(
            mesh, report.root, remaining=report.remaining, memory=memory, told_at=told_at, now=now
        )
    rotating = any(r.mesh == mesh and r.changed_the_cluster for r in store.active_rotations())
    alarms = due_alarms(
        report.findings,
        before=before,
        ignored=holders_of_no_account(seen.snapshot, rotating=rotating),
        heard=notice is not None and notice.threshold is not None,
    )
    return Change(
        check=CheckRecord(
            mesh=mesh,
            at=seen.snapshot.taken_at,
            ok=True,
            summary=report.headline,
            remaining=report.remaining,
            last_success=seen.snapshot.taken_at,
            told_at=now if notice else told_at,
            found=count_findings(report.findings),
            alarming=alarms.standing,
            alarms_told=alarms.told,
        ),
        messages=(*_messages(report, notice), *_alarm(report, alarms, keys)),
        given=notice.given if notice else (),
        audit=(AuditEvent(event=Event.CHECKED, at=now, mesh=mesh, detail=(("verdict", report.verdict),)),),
    )


def _alarm(report: Report, alarms: Alarms, keys: Keys) -> tuple[Message, ...]:
    if not alarms.fresh:
        return ()
    content = Alarm(report=report, check_ids=alarms.fresh)
    subject = f"alarm/{report.mesh}/{keys.rotation_id()}"
    return (Message(subject=subject, placement=Placement.NEW, content=content),)


def _messages(report: Report, notice: Notice | None) -> tuple[Message, ...]:
    if notice is None or report.root is None:
        return ()
    subject = warning_subject(report.mesh, report.root, notice.thread)
    if notice.threshold is None:
        return (Message(subject=subject, placement=Placement.REPLY, content=DailyLine(report=report)),)
    content = Warned(threshold=notice.threshold, report=report)
    return (Message(subject=subject, placement=Placement.NEW, content=content),)
