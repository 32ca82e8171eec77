"""A rotation at every stage, reports and messages, as a real mesh would make them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.core.findings import Tally, Verdict
from bot.core.ids import ClusterUid, Fingerprint, MeshName, PlanDigest, RotationId, TeamId, UserId
from bot.core.intent import Verb
from bot.core.mesh import ObjectRef, SecretState
from bot.core.plan import BlastRadius, Mode, Plan, RootFacts, Step, StepKind
from bot.core.progress import Proof, StepState, StepStatus, Straggler
from bot.core.record import (
    Alarm,
    Card,
    CheckCouldNotRun,
    CheckRecord,
    Content,
    DailyLine,
    Event,
    Milestone,
    Report,
    ReportPosted,
    RequestFailed,
    Result,
    StragglerFile,
    Warned,
)
from bot.core.replies import (
    Begun,
    EndOffered,
    HelpShown,
    HistoryShown,
    Noted,
    Refused,
    Reply,
    StatusShown,
    UnderWay,
)
from bot.core.rotation import Decision, Person, Rotation, RotationState, propose
from bot.flow.reception import POSTED
from tests.unit.edges import slack_reports

NOW = datetime(2026, 11, 23, 18, 41, tzinfo=UTC)
PROD = MeshName("prod")
ROTATION_ID = RotationId("5f0c" * 8)
UID = ClusterUid("8f3c2d1a-77aa-4c1e-9d0e-2b1f00aa11bb")
HOME = TeamId("T0HOME")
ANNA = Person(team=HOME, user=UserId("U0ANNA"), name="Anna")
BEN = Person(team=HOME, user=UserId("U0BEN"), name="Ben")
APPROVERS = ("U0BEN", "S0SRE")
REASON = "Root ends on 5 December; INC-4711"


class StoppedClock:
    """A clock that a test moves."""

    def __init__(self, now: datetime = NOW) -> None:
        self.at = now
        self.ticks = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.ticks

    def pass_by(self, length: timedelta) -> None:
        self.at += length
        self.ticks += length.total_seconds()

    def set_back(self, length: timedelta) -> None:
        """Somebody sets the time of day."""
        self.at -= length


def deployment(name: str) -> ObjectRef:
    return ObjectRef(kind="Deployment", namespace="istio-system", name=name)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def a_step(kind: StepKind, title: str, *, takes: float = 1, **more: object) -> Step:
    made = Step(
        id=title.lower().replace(" ", "-")[:40],
        kind=kind,
        title=title,
        takes=minutes(takes),
        deadline=minutes(10),
    )
    return replace(made, **more)  # type: ignore[arg-type]


STEPS = (
    a_step(StepKind.BACK_UP, "Back up the CA secret", takes=0.2, why="every byte of istio-ca-secret is kept"),
    a_step(
        StepKind.WRITE_ROOT,
        "Put the new root into istio-ca-secret",
        takes=0.2,
        why="ca-cert.pem only; the private key stays as it is",
    ),
    a_step(
        StepKind.RELOAD_CA,
        "Restart istio-citadel",
        target=deployment("istio-citadel"),
        why="Citadel reads its root only when it starts",
        felt="new pods wait up to a minute for their first certificate",
    ),
    a_step(
        StepKind.AWAIT_SECRETS,
        "Wait until all 20 workload secrets hold the new root",
        takes=2,
        why="re-issued",
    ),
    a_step(StepKind.AWAIT_WEBHOOKS, "Wait for the webhooks' caBundle", takes=0.5),
    a_step(
        StepKind.RESTART,
        "Restart istio-galley",
        target=deployment("istio-galley"),
        why="it reads the root only when it starts",
        felt="configuration changes wait a few seconds",
    ),
    a_step(StepKind.AWAIT_PROXIES, "Wait until all 18 proxies have loaded the new root", takes=2),
    a_step(StepKind.VERIFY, "Verify everything that holds a root", takes=0.5),
)
UNDO = (
    a_step(StepKind.WRITE_ROOT, "Put the old bytes back from the backup"),
    a_step(StepKind.RELOAD_CA, "Restart istio-citadel again"),
)


def a_root(fill: str, *, start: datetime, end: datetime, serial: int) -> RootFacts:
    return RootFacts(
        fingerprint=Fingerprint(fill * 16),
        subject="O=cluster.local",
        serial=serial,
        not_before=start,
        not_after=end,
        pem=b"",
    )


OLD_ROOT = a_root(
    "a1b2",
    start=datetime(2025, 12, 5, 9, 0, tzinfo=UTC),
    end=datetime(2026, 12, 5, 9, 0, tzinfo=UTC),
    serial=0xC0FFEE,
)
NEW_ROOT = a_root(
    "d4e5",
    start=NOW - minutes(10),
    end=datetime(2036, 11, 20, 18, 41, tzinfo=UTC),
    serial=0x1F2E3D4C5B6A79880011223344556677,
)


def a_plan() -> Plan:
    return Plan(
        mode=Mode.EXTEND,
        mesh=PROD,
        namespace="istio-system",
        cluster_uid=UID,
        authority="Citadel 1.4.10, self-signed root",
        secret=SecretState(uid="s1", resource_version="7", digests=(("ca-cert.pem", "00"),)),
        secret_ref=ObjectRef(kind="Secret", namespace="istio-system", name="istio-ca-secret"),
        backup_ref=ObjectRef(kind="Secret", namespace="istio-system", name="rootkeeper-backup"),
        old_root=OLD_ROOT,
        new_root=NEW_ROOT,
        new_pem=b"",
        steps=STEPS,
        undo_steps=UNDO,
        blast_radius=BlastRadius(secrets=20, proxies=18, namespaces=3),
        notes=(
            "2 proxies run Istio 1.1.3 and load a new root only when restarted: shop/legacy-1, shop/legacy-2",
        ),
        created_at=NOW,
    )


def proposed() -> Rotation:
    return propose(
        a_plan(),
        rotation_id=ROTATION_ID,
        requester=ANNA,
        reason=REASON,
        now=NOW,
        lifetime=timedelta(hours=1),
    )


def decision(act: str, *, person: Person = BEN, after: float = 2, note: str = "") -> Decision:
    return Decision(act=act, person=person, at=NOW + minutes(after), digest=PlanDigest("ab" * 32), note=note)


def approved() -> Rotation:
    return proposed().approved(decision("approve"), start_within=minutes(5))


STRAGGLERS = (
    Straggler(
        what="Secret shop/istio.cart",
        reason="still holds the old root",
        cure="delete it: Citadel makes it anew",
    ),
    Straggler(what="proxy of bank/ledger-5d9", reason="did not answer in 10 s", verdict="unknown"),
)


def running(at: int = 3, *, done: int = 12) -> Rotation:
    """The steps before `at` are done; the one at `at` waits."""
    made = approved().moved(RotationState.RUNNING, now=NOW + minutes(3))
    for step, state in made.walk[:at]:
        made = made.with_step(
            replace(state, entered_at=NOW, ended_at=NOW, status=StepStatus.DONE, note=f"{step.title}: done")
        )
    if at == len(made.walk):
        return made
    current = made.walk[at][1].entered(NOW + minutes(6), minutes(10)).acted()
    return made.with_step(
        current.with_progress(Proof(complete=False, done=done, total=20, stragglers=STRAGGLERS))
    )


def paused() -> Rotation:
    return running().moved(
        RotationState.PAUSED, now=NOW, outcome="12 of 20 workload secrets hold the new root after 10 min"
    )


def paused_untouched() -> Rotation:
    return running(at=0).moved(RotationState.PAUSED, now=NOW, outcome="the backup Secret cannot be written")


def rolling_back() -> Rotation:
    turned = paused().decided(decision("roll back", person=ANNA, after=20)).turned_back()
    return turned.moved(RotationState.ROLLING_BACK, now=NOW)


def failed_step() -> Rotation:
    made = running()
    step = StepState(
        step_id=made.walk[3][0].id,
        status=StepStatus.FAILED,
        entered_at=NOW,
        ended_at=NOW,
        note="the API server refused: quota",
    )
    return made.with_step(step).moved(RotationState.FAILED, now=NOW, outcome="Step 4 failed: quota")


ROTATIONS: dict[str, Rotation] = {
    "proposed": proposed(),
    "approved": approved(),
    "running": running(),
    "stopping": replace(running(), stop_requested=True),
    "paused": paused(),
    "paused untouched": paused_untouched(),
    "rolling back": rolling_back(),
    "rolled back": rolling_back().moved(RotationState.ROLLED_BACK, now=NOW, outcome="The old root is back"),
    "paused rolling back": rolling_back().moved(
        RotationState.PAUSED, now=NOW, outcome="Citadel did not become ready"
    ),
    "ended short": paused().ended_short(
        decision("end here", after=30, note="cart waits for a node until Monday"),
        outcome="ended by Ben with 1 of 20 workload secrets and 1 of 18 proxies not proved: Secret "
        "shop/istio.cart and proxy of bank/ledger-5d9; mend or restart them before the old root ends on "
        "2026-12-05 09:00 UTC",
        left_behind=STRAGGLERS,
    ),
    "done": running(8).moved(
        RotationState.DONE, now=NOW, outcome="20 of 20 secrets and 18 of 18 proxies hold the new root"
    ),
    "failed": failed_step(),
    "rejected": proposed()
    .decided(decision("reject", note="not during the freeze"))
    .moved(RotationState.REJECTED, now=NOW),
    "expired": proposed().moved(RotationState.EXPIRED, now=NOW),
    "cancelled": proposed().decided(decision("cancel", person=ANNA)).moved(RotationState.CANCELLED, now=NOW),
    "stopped": running().decided(decision("cancel", person=ANNA)).moved(RotationState.CANCELLED, now=NOW),
    "stale": approved().moved(RotationState.STALE, now=NOW, outcome="the CA secret's content changed"),
    "superseded": proposed().moved(RotationState.SUPERSEDED, now=NOW),
}

TALLIES = (
    Tally(kind="workload secrets", ok=18, not_ok=1, unknown=1, skipped=0),
    Tally(kind="proxies", ok=16, not_ok=0, unknown=1, skipped=1),
    Tally(kind="webhooks", ok=3, not_ok=0, unknown=0, skipped=0),
)


def a_report(kind: str = "check") -> Report:
    """What a real look at a mesh with some trouble says."""
    return slack_reports.a_check(NOW, UID) if kind == "check" else slack_reports.a_verify(NOW, UID)


def a_report_beside() -> Report:
    """What a real look says while a rotation of the mesh is paused."""
    return slack_reports.a_verify_beside(paused(), NOW, UID)


def a_fine_report() -> Report:
    """What a real verification of a mesh in good order says."""
    return slack_reports.a_fine_verify(NOW, UID)


FINDINGS = tuple(finding for finding in a_report().findings if finding.verdict is Verdict.UNKNOWN)


def a_milestone(event: Event, **more: object) -> Milestone:
    return replace(Milestone(rotation_id=ROTATION_ID, event=event, at=NOW), **more)  # type: ignore[arg-type]


CONTENTS: dict[str, Content] = {
    "milestone approved": a_milestone(Event.APPROVED, person=BEN),
    "milestone started": a_milestone(Event.STARTED),
    "milestone step entered": a_milestone(
        Event.STEP_ENTERED, step_title=STEPS[2].title, step_number=3, step_count=8
    ),
    "milestone step done": a_milestone(
        Event.STEP_DONE,
        step_title=STEPS[1].title,
        step_number=2,
        step_count=8,
        note="ca-cert.pem was replaced at resourceVersion 8",
        facts=(("Not after", "2036-11-20 18:41 UTC"), ("Subject", "O=cluster.local")),
    ),
    "milestone step skipped": a_milestone(
        Event.STEP_SKIPPED,
        step_title=STEPS[1].title,
        step_number=2,
        step_count=8,
        note="it no longer exists",
    ),
    "milestone paused": a_milestone(
        Event.PAUSED,
        step_title=STEPS[3].title,
        step_number=4,
        step_count=8,
        note="12 of 20 after 10 min",
        stragglers=STRAGGLERS,
    ),
    "result done": Result(
        rotation_id=ROTATION_ID, event=Event.DONE, at=NOW, note="took 8 min", tallies=TALLIES[2:]
    ),
    "result failed": Result(
        rotation_id=ROTATION_ID,
        event=Event.FAILED,
        at=NOW,
        note="step 4 failed",
        tallies=TALLIES,
        stragglers=STRAGGLERS,
    ),
    "result ended short": Result(
        rotation_id=ROTATION_ID,
        event=Event.ENDED_SHORT,
        at=NOW,
        note="ended by Ben with 1 of 20 workload secrets not proved: Secret shop/istio.cart; mend or restart "
        "them before the old root ends on 2026-12-05 09:00 UTC",
        tallies=TALLIES,
        stragglers=STRAGGLERS,
    ),
    "milestone still paused": a_milestone(
        Event.STILL_PAUSED, note="It has been waiting for a decision for 14 h now: stopped on request"
    ),
    "check asked for": ReportPosted(report=a_report(), person=ANNA),
    "check of webhooks only": ReportPosted(
        report=slack_reports.a_check_without_mutual_tls(NOW, UID, webhooks=True), person=ANNA
    ),
    "check of nothing at stake": ReportPosted(
        report=slack_reports.a_check_without_mutual_tls(NOW, UID, webhooks=False), person=ANNA
    ),
    "verify asked for": ReportPosted(report=a_report("verify"), person=ANNA),
    "verify beside a paused rotation": ReportPosted(report=a_report_beside(), person=ANNA),
    "check asked for by several": ReportPosted(report=a_report(), person=ANNA, others=(BEN,)),
    "verify fine": ReportPosted(report=a_fine_report(), person=ANNA),
    "warning": Warned(threshold="14 days", report=a_report()),
    "daily line": DailyLine(report=a_report()),
    "alarm": Alarm(report=a_report(), check_ids=("env.read",)),
    "check could not run": CheckCouldNotRun(
        mesh=PROD,
        at=NOW,
        message="the API server did not answer in 10 s",
        hint="check the network between the bot and the cluster",
        last_success=NOW - timedelta(days=2),
    ),
    "request failed": RequestFailed(
        what="transition",
        mesh=PROD,
        person=ANNA,
        message="the mesh is not fit for a rotation: 1 of 12 preflight checks says no",
        hint="mend it and ask again",
        findings=FINDINGS[:1],
    ),
    "request failed by a bug": RequestFailed(
        what="check", mesh=PROD, person=ANNA, message="something unexpected happened", reference="b7e1c0de"
    ),
    "straggler file in words": StragglerFile(name="stragglers-prod-2026-11-23.txt", stragglers=STRAGGLERS),
}

CARD = Card(rotation_id=ROTATION_ID)

OFFER = EndOffered(
    rotation_id=ROTATION_ID,
    mesh=PROD,
    cluster_uid=UID,
    backwards=False,
    old_root_ends=OLD_ROOT.not_after,
    why="",
    share="1 of 20 workload secrets and 1 of 18 proxies not proved",
    stragglers=STRAGGLERS,
    total=12,
    shown="5ea1" * 16,
)
OFFERS: dict[str, EndOffered] = {
    "forwards": OFFER,
    "rolling back": replace(OFFER, backwards=True, total=2),
    "out of hand": replace(
        OFFER, why="Secret istio-system/istio-ca-secret has vanished", stragglers=(), total=0
    ),
}

REPLIES: dict[str, Reply] = {
    "end offered too late": OFFER,
    "end offered anew": replace(OFFER, changed=True),
    "refused own request": Refused(
        sentence="You asked for this rotation; a second person must approve it.", hint="Ask Ben"
    ),
    "refused wrong channel": Refused(sentence="Rotations are decided in <#C0MESH> only."),
    "noted": Noted(sentence="It begins nothing more"),
    **{f"begun {verb}": Begun(verb=verb, mesh=PROD, channel="C0MESH") for verb in sorted(POSTED)},
    "under way joined": UnderWay(verb=Verb.CHECK, mesh=PROD, first=ANNA, since=NOW, joined=True),
    "under way": UnderWay(verb=Verb.TRANSITION, mesh=PROD, first=ANNA, since=NOW, joined=False),
    "help": HelpShown(
        meshes=(PROD, MeshName("stage")), lead="There is no command `chekc`. Did you mean `check`?"
    ),
    "status": StatusShown(
        active=(proposed(), approved(), running()),
        checks=(
            CheckRecord(
                mesh=PROD,
                at=NOW,
                ok=True,
                summary="the root ends soon",
                remaining=OLD_ROOT.not_after - NOW,
                last_success=NOW,
            ),
            CheckRecord(mesh=MeshName("stage"), at=NOW, ok=False, summary="unreachable", last_success=None),
        ),
        never_checked=(MeshName("dev"),),
        overtaken=((PROD, NOW + timedelta(minutes=30)),),
    ),
    "status quiet": StatusShown(active=(), checks=(), never_checked=()),
    "history": HistoryShown(
        mesh=PROD, rotations=(ROTATIONS["done"], ROTATIONS["ended short"], ROTATIONS["rejected"])
    ),
    "history longer": HistoryShown(mesh=PROD, rotations=(ROTATIONS["paused"],), older=True),
    "history empty": HistoryShown(mesh=PROD, rotations=()),
}
