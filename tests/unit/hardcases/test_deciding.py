"""What an approval is bound to, who may decide, what typed words mean, and which warning is due."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest

from bot.core.approval import DECISIONS, Act, Approvers, Circumstances, PersonFacts, acts_open_to, authorise
from bot.core.authority import recognise
from bot.core.ids import ClusterUid, Fingerprint, MeshName, PlanDigest, RotationId, TeamId, UserId
from bot.core.intent import MAX_REASON, Intent, NotUnderstood, Verb, read_command
from bot.core.issuing import extend_root
from bot.core.mesh import MeshSnapshot
from bot.core.notices import LADDER, due_notice
from bot.core.plan import BlastRadius, Plan, differences
from bot.core.planning import citadel_mesh, plan_extension, replace_first, root_facts
from bot.core.record import Given, NoticeMemory
from bot.core.rotation import FINAL, MOVES, Decision, Rotation, RotationState, propose
from tests.unit.hardcases.making import DAY, NOW, YEAR
from tests.unit.hardcases.meshes import KEY, ending, signer_of

# --- the plan's digest --------------------------------------------------------------------------


@cache
def plan() -> Plan:
    return planned(ending())


def planned(mesh: MeshSnapshot, *, at: datetime = NOW) -> Plan:
    seen = citadel_mesh(mesh, recognise(mesh))
    assert seen is not None
    pem = replace_first(candidate(), seen.secret.root.certificates)
    return plan_extension(seen, candidate(), ca_cert_pem=pem, notes=(), at=at)


@cache
def candidate() -> Any:
    return extend_root(signer_of(ending()), KEY, serial=7, now=NOW, lifetime=10 * YEAR)


def another_root() -> Any:
    return root_facts(extend_root(signer_of(ending()), KEY, serial=8, now=NOW, lifetime=9 * YEAR))


CHANGING: list[tuple[str, Callable[[Plan], Plan]]] = [
    ("another mesh", lambda p: replace(p, mesh=MeshName("dev"))),
    ("another namespace", lambda p: replace(p, namespace="mesh-b")),
    ("row 63: another cluster", lambda p: replace(p, cluster_uid=ClusterUid("other"))),
    ("another version of the CA", lambda p: replace(p, authority="Citadel 1.4.9, self-signed root")),
    ("row 54: other bytes in the secret", lambda p: replace(p, secret=p.secret.with_value("ca-cert.pem", b"x"))),
    ("row 54: another key in the secret", lambda p: replace(p, secret=p.secret.with_value("ca-key.pem", b"x"))),
    ("row 32: the secret was made anew", lambda p: replace(p, secret=replace(p.secret, uid="other"))),
    ("another old root", lambda p: replace(p, old_root=another_root())),
    ("another new root", lambda p: replace(p, new_root=another_root())),
    ("row 7: something more in the new bundle", lambda p: replace(p, new_pem=p.new_pem + b"\n")),
    ("one step less", lambda p: replace(p, steps=p.steps[:-1])),
    ("steps in another order", lambda p: replace(p, steps=p.steps[::-1])),
    ("a step at another target", lambda p: replace(
        p, steps=(replace(p.steps[0], target=p.steps[1].target), *p.steps[1:]))),
    ("another way back", lambda p: replace(p, undo_steps=p.undo_steps[1:])),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "change"), CHANGING, ids=[row[0] for row in CHANGING])
def test_an_approval_is_void_after(sentence: str, change: Callable[[Plan], Plan]) -> None:
    changed = change(plan())

    assert changed.digest != plan().digest, sentence
    assert differences(plan(), changed, digest=plan().digest) != ()


KEEPING: list[tuple[str, Callable[[Plan], Plan]]] = [
    ("other counts", lambda p: replace(p, blast_radius=BlastRadius(secrets=1, proxies=2, namespaces=3))),
    ("other notes", lambda p: replace(p, notes=("x",))),
    ("another hour", lambda p: replace(p, created_at=NOW + DAY)),
    ("row 31: another resourceVersion", lambda p: replace(p, secret=replace(p.secret, resource_version="99"))),
    ("other words", lambda p: replace(
        p, steps=tuple(replace(s, title="x", why="y", felt="z", undo="u") for s in p.steps))),
    ("other estimates", lambda p: replace(
        p, steps=tuple(replace(s, takes=DAY, deadline=2 * DAY) for s in p.steps))),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "change"), KEEPING, ids=[row[0] for row in KEEPING])
def test_an_approval_stands_after(sentence: str, change: Callable[[Plan], Plan]) -> None:
    changed = change(plan())

    assert changed.digest == plan().digest, sentence
    assert differences(plan(), changed, digest=plan().digest) == ()


def test_the_same_mesh_gives_the_same_plan_later() -> None:
    assert planned(ending(), at=NOW + timedelta(hours=3)).digest == plan().digest


def test_a_plan_says_its_digest_in_full() -> None:
    assert len(plan().digest) == 64
    assert plan().digest == plan().digest.lower()


# --- who may decide -------------------------------------------------------------------------------

HOME, CHANNEL = TeamId("T0HOME"), "C0MESH"


def person(name: str, *, team: str = HOME, **more: bool) -> PersonFacts:
    facts: dict[str, bool] = {
        "deleted": False,
        "is_bot": False,
        "is_guest": False,
        "is_stranger": False,
    } | more
    return PersonFacts(team=TeamId(team), user=UserId(f"U0{name.upper()}"), name=name, **facts)


ANNA, BEN, CLEO = person("Anna"), person("Ben"), person("Cleo")
APPROVERS = Approvers(users=frozenset({BEN.user}), configured=("U0BEN",))
S = RotationState


def rotation(state: RotationState = S.PROPOSED, *, written: bool = True, **facts: Any) -> Rotation:
    """In that state; once it runs, it has written the root unless a test says otherwise."""
    proposed = propose(
        plan(), rotation_id=RotationId("0" * 32), requester=ANNA.person, reason="", now=NOW, lifetime=DAY
    )
    entered = tuple(replace(step, entered_at=NOW) for step in proposed.steps)
    return replace(proposed, state=state, steps=entered if written else proposed.steps, **facts)


def here(**changes: Any) -> Circumstances:
    usual: dict[str, Any] = {
        "channel": CHANNEL,
        "decision_channel": CHANNEL,
        "channel_fault": None,
        "home_team": HOME,
        "now": NOW,
    }
    return Circumstances(**(usual | changes))


def answer(
    act: Act,
    who: PersonFacts,
    *,
    state: RotationState = S.PROPOSED,
    users: frozenset[UserId] = APPROVERS.users,
    about: Rotation | None = None,
    **circumstances: Any,
) -> str:
    """The refusal's code; `yes` when there is none."""
    refusal = authorise(
        act,
        who,
        approvers=Approvers(users=users, configured=tuple(users)),
        rotation=None if act in (Act.LOOK, Act.REQUEST) else about or rotation(state),
        circumstances=here(**circumstances),
    )
    return refusal.code if refusal else "yes"


def ben(**facts: Any) -> PersonFacts:
    return replace(BEN, **facts)


EVERYBODY = frozenset({ANNA.user, BEN.user})
PEOPLE: list[tuple[str, Act, PersonFacts, dict[str, Any], str]] = [
    ("an approver approves", Act.APPROVE, BEN, {}, "yes"),
    ("row 56: the requester approves", Act.APPROVE, ANNA, {}, "own_request"),
    ("row 56: the requester approves who is an approver", Act.APPROVE, ANNA, {"users": EVERYBODY}, "own_request"),
    ("the requester under a new name approves", Act.APPROVE, replace(ANNA, name="Zoe"), {"users": EVERYBODY},
     "own_request"),
    ("an outsider approves", Act.APPROVE, CLEO, {}, "not_an_approver"),
    ("an outsider who bears an approver's name approves", Act.APPROVE, replace(CLEO, name="Ben"), {},
     "not_an_approver"),
    ("nobody is an approver", Act.APPROVE, BEN, {"users": frozenset()}, "not_an_approver"),
    ("a guest approves", Act.APPROVE, ben(is_guest=True), {}, "guest"),
    ("a stranger approves", Act.APPROVE, ben(is_stranger=True), {}, "stranger"),
    ("somebody of another team with an approver's id approves", Act.APPROVE, person("Ben", team="T0EVIL"), {},
     "stranger"),
    ("a deactivated approver approves", Act.APPROVE, ben(deleted=True), {}, "deactivated"),
    ("a bot approves", Act.APPROVE, ben(is_bot=True), {}, "bot"),
    ("an approver approves in another channel", Act.APPROVE, BEN, {"channel": "C0ELSE"}, "wrong_channel"),
    ("an approver approves in an unfit channel", Act.APPROVE, BEN, {"channel_fault": "is shared"}, "channel_unfit"),
    ("an approver approves at the last second", Act.APPROVE, BEN, {"now": NOW + DAY - timedelta(seconds=1)}, "yes"),
    ("row 56: an approver approves at the end", Act.APPROVE, BEN, {"now": NOW + DAY}, "already_expired"),
    ("an approver rejects", Act.REJECT, BEN, {}, "yes"),
    ("the requester rejects", Act.REJECT, ANNA, {}, "own_request"),
    ("an outsider rejects", Act.REJECT, CLEO, {}, "not_an_approver"),
    ("the requester cancels", Act.CANCEL, ANNA, {}, "yes"),
    ("an approver cancels", Act.CANCEL, BEN, {}, "yes"),
    ("an outsider cancels", Act.CANCEL, CLEO, {}, "not_an_approver"),
    ("a requester who has become a guest cancels", Act.CANCEL, replace(ANNA, is_guest=True), {}, "guest"),
    ("the requester lets it wait", Act.KEEP_WAITING, ANNA, {"state": S.PAUSED}, "yes"),
    ("an outsider rolls back", Act.ROLL_BACK, CLEO, {"state": S.PAUSED}, "not_an_approver"),
    ("an approver rolls back", Act.ROLL_BACK, BEN, {"state": S.PAUSED}, "yes"),
    ("an approver ends it short", Act.END, BEN, {"state": S.PAUSED}, "yes"),
    ("the requester ends it short", Act.END, ANNA, {"state": S.PAUSED}, "own_request"),
    ("the requester ends it short who is an approver", Act.END, ANNA, {"state": S.PAUSED, "users": EVERYBODY},
     "own_request"),
    ("an outsider ends it short", Act.END, CLEO, {"state": S.PAUSED}, "not_an_approver"),
    ("a guest ends it short", Act.END, ben(is_guest=True), {"state": S.PAUSED}, "guest"),
    ("a stranger ends it short", Act.END, ben(is_stranger=True), {"state": S.PAUSED}, "stranger"),
    ("an approver ends it short elsewhere", Act.END, BEN, {"state": S.PAUSED, "channel": "D0BEN"}, "wrong_channel"),
    ("anybody asks", Act.REQUEST, CLEO, {}, "yes"),
    ("somebody asks whom nobody could approve", Act.REQUEST, BEN, {}, "nobody_to_approve"),
    ("somebody asks and nobody is an approver", Act.REQUEST, ANNA, {"users": frozenset()}, "nobody_to_approve"),
    ("a guest asks", Act.REQUEST, replace(CLEO, is_guest=True), {}, "guest"),
    ("a stranger asks", Act.REQUEST, person("Cleo", team="T0EVIL"), {}, "stranger"),
    ("anybody looks, anywhere", Act.LOOK, CLEO, {"channel": "D0CLEO", "users": frozenset()}, "yes"),
    ("a guest looks", Act.LOOK, replace(CLEO, is_guest=True), {}, "guest"),
    ("a stranger looks", Act.LOOK, person("Cleo", team="T0EVIL"), {}, "stranger"),
    ("a deactivated person looks", Act.LOOK, replace(CLEO, deleted=True), {}, "deactivated"),
    ("a bot looks", Act.LOOK, replace(CLEO, is_bot=True), {}, "bot"),
    ("somebody asks in another channel", Act.REQUEST, CLEO, {"channel": "D0CLEO"}, "wrong_channel"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sentence", "act", "who", "circumstances", "expected"), PEOPLE, ids=[row[0] for row in PEOPLE]
)
def test_somebody_decides(
    sentence: str, act: Act, who: PersonFacts, circumstances: dict[str, Any], expected: str
) -> None:
    assert answer(act, who, **circumstances) == expected, sentence


OPEN: dict[Act, set[RotationState]] = {
    Act.APPROVE: {S.PROPOSED},
    Act.REJECT: {S.PROPOSED},
    Act.CANCEL: {S.PROPOSED, S.APPROVED, S.RUNNING},
    Act.KEEP_WAITING: {S.PAUSED},
    Act.ROLL_BACK: {S.PAUSED},
    Act.END: {S.PAUSED},
}
"""Of a rotation that has changed the mesh, once it runs."""

_ELSEWISE = {(Act.CANCEL, S.PAUSED): "already_changed"}


@pytest.mark.parametrize("state", list(RotationState))
@pytest.mark.parametrize("act", list(OPEN))
def test_row_56_an_act_counts_only_in_its_states(act: Act, state: RotationState) -> None:  # row 56
    expected = "yes" if state in OPEN[act] else _ELSEWISE.get((act, state), f"already_{state}")

    assert answer(act, BEN, state=state) == expected


PAUSES: list[tuple[str, dict[str, Any], dict[Act, str]]] = [
    ("with nothing written", {"written": False},
     {Act.CANCEL: "yes", Act.ROLL_BACK: "nothing_written", Act.END: "nothing_written"}),
    ("forwards", {}, {Act.CANCEL: "already_changed", Act.ROLL_BACK: "yes", Act.END: "yes"}),
    ("rolling back", {"backwards": True},
     {Act.CANCEL: "already_changed", Act.ROLL_BACK: "already_rolling_back", Act.END: "yes"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "facts", "expected"), PAUSES, ids=[row[0] for row in PAUSES])
def test_what_is_open_in_a_pause(name: str, facts: dict[str, Any], expected: dict[Act, str]) -> None:
    paused = rotation(S.PAUSED, **facts)

    assert {act: answer(act, BEN, about=paused) for act in expected} == expected, name
    assert answer(Act.KEEP_WAITING, BEN, about=paused) == "yes"


@pytest.mark.parametrize("state", list(RotationState))
def test_what_is_open_is_allowed_to_somebody_and_nothing_else_is(state: RotationState) -> None:
    for facts in ({}, {"written": False}, {"backwards": True}, {"stop_requested": True}):
        about = rotation(state, **facts)
        allowed = {act for act in DECISIONS if answer(act, BEN, about=about) == "yes"}
        assert allowed == set(acts_open_to(about))


@pytest.mark.parametrize("act", list(OPEN))
def test_nothing_can_be_decided_about_no_rotation(act: Act) -> None:
    refusal = authorise(act, BEN, approvers=APPROVERS, rotation=None, circumstances=here())

    assert refusal is not None
    assert refusal.code == "no_rotation"


# --- moves ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", list(RotationState))
@pytest.mark.parametrize("before", list(RotationState))
def test_a_rotation_moves_only_along_its_ways(before: RotationState, after: RotationState) -> None:
    if after in MOVES.get(before, frozenset()):
        moved = rotation(before).moved(after, now=NOW)
        assert (moved.state, moved.final) == (after, after in FINAL)
        assert (moved.finished_at is not None) is (after in FINAL)
    else:
        with pytest.raises(ValueError, match="cannot become"):
            rotation(before).moved(after, now=NOW)


def test_nothing_leaves_an_end_and_nothing_starts_without_an_approval() -> None:
    assert frozenset({S.DONE, S.FAILED, S.ROLLED_BACK, S.REJECTED, S.EXPIRED, S.CANCELLED, S.STALE}) <= FINAL
    assert {before for before, after in MOVES.items() if S.ENDED_SHORT in after} == {S.PAUSED}
    assert {before for before, after in MOVES.items() if S.RUNNING in after} == {S.APPROVED, S.PAUSED}
    assert {before for before, after in MOVES.items() if S.APPROVED in after} == {S.PROPOSED}


def test_an_approval_lapses() -> None:
    decision = Decision(act="approve", person=BEN.person, at=NOW, digest=PlanDigest(plan().digest))

    approved = rotation().approved(decision, start_within=timedelta(minutes=5))

    assert (approved.state, approved.start_by) == (S.APPROVED, NOW + timedelta(minutes=5))
    assert approved.decision("approve") == decision


# --- typed words --------------------------------------------------------------------------------------

ONE, TWO = (MeshName("prod"),), (MeshName("prod"), MeshName("dev"))


def wanted(verb: Verb, mesh: str = "prod", **more: Any) -> Intent:
    return Intent(verb=verb, mesh=MeshName(mesh), **more)


UNDERSTOOD: list[tuple[str, tuple[MeshName, ...], Intent]] = [
    ("", ONE, wanted(Verb.HELP)),
    ("   ", ONE, wanted(Verb.HELP)),
    ("help", TWO, wanted(Verb.HELP)),
    ("check", ONE, wanted(Verb.CHECK)),
    ("CHECK prod", TWO, wanted(Verb.CHECK)),
    ("  verify \t dev ", TWO, wanted(Verb.VERIFY, "dev")),
    ("status", TWO, wanted(Verb.STATUS)),
    ("stop", ONE, wanted(Verb.CANCEL)),
    ("Abort dev", TWO, wanted(Verb.CANCEL, "dev")),
    ("transition", ONE, wanted(Verb.TRANSITION)),
    ("transition dev", TWO, wanted(Verb.TRANSITION, "dev")),
    ("transition prod lifetime=10y", ONE, wanted(Verb.TRANSITION, lifetime=10 * YEAR, spelled_out=True)),
    ("transition prod Lifetime=10Y Reason=soon", ONE,
     wanted(Verb.TRANSITION, lifetime=10 * YEAR, reason="soon", spelled_out=True)),
    ("transition prod it ends soon; INC=4711", ONE,
     wanted(Verb.TRANSITION, reason="it ends soon; INC=4711", spelled_out=True)),
    ("transition lifetime=90d", ONE, wanted(Verb.TRANSITION, lifetime=90 * DAY, spelled_out=True)),
    ("transition prod lifetime=20y it ends soon", ONE,
     wanted(Verb.TRANSITION, lifetime=20 * YEAR, reason="it ends soon", spelled_out=True)),
    ("transition “it ends soon”", ONE, wanted(Verb.TRANSITION, reason="it ends soon", spelled_out=True)),
    ('transition prod reason="it ends"', ONE,
     wanted(Verb.TRANSITION, reason="it ends", spelled_out=True)),
    *[(f"transition prod {typed}", ONE, wanted(Verb.TRANSITION, reason=reason, spelled_out=True)) for typed, reason in [
        ("root ends soon -- INC-42", "root ends soon -- INC-42"),
        ("soon —INC-42, ticket:7, see https://a/b=c", "soon —INC-42, ticket:7, see https://a/b=c"),
        ("the lifetime is too short", "the lifetime is too short"),
        ('"--force, lifetime 30d left"', "--force, lifetime 30d left"),
        ('reason="ttl=5y; lifetme=5y"', "ttl=5y; lifetme=5y"),
        ("„lifetime: 5y“", "lifetime: 5y"),
        ("the root's end", "the root's end"),
        ("'quoted singly'", "'quoted singly'"),
        ("'tis the root's end", "'tis the root's end"),
        ('see "INC 42" and "INC 43"', 'see "INC 42" and "INC 43"'),
        ('"it ends', '"it ends'),
    ]],
    ('transition prod "it ends" lifetime=1y', ONE,
     wanted(Verb.TRANSITION, reason="it ends", lifetime=YEAR, spelled_out=True)),
    ("transition prod 'til the freeze lifetime=1y for the users' sake", ONE,
     wanted(Verb.TRANSITION, reason="'til the freeze for the users' sake", lifetime=YEAR, spelled_out=True)),
    ("transition prod the root lasts 5y, duration 5y", ONE,
     wanted(Verb.TRANSITION, reason="the root lasts 5y, duration 5y", spelled_out=True)),
    ('transition prod "it ends lifetime=1y', ONE,
     wanted(Verb.TRANSITION, reason='"it ends', lifetime=YEAR, spelled_out=True)),
    ('transition "lifetime=1y" soon', ONE,
     wanted(Verb.TRANSITION, reason='"lifetime=1y" soon', spelled_out=True)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "meshes", "expected"), UNDERSTOOD, ids=[row[0] for row in UNDERSTOOD])
def test_it_understands(text: str, meshes: tuple[MeshName, ...], expected: Intent) -> None:
    assert read_command(text, meshes=meshes) == expected


ASKED_BACK: list[tuple[str, tuple[MeshName, ...], str]] = [
    # text, meshes, a word that the answer has in it
    ("chekc", ONE, "check"),
    ("transition prod mode=renew", ONE, "There is no option `mode=`"),
    ("transition prod lifetime=10y mode=renew it ends", ONE, "There is no option `mode=`"),
    *[
        (
            f"transition {typed}",
            ONE,
            "Write it in one word: `lifetime=5y`. What belongs to the reason goes into double quotes.",
        )
        for typed in (
            "prod lifetime 5y",
            "prod lifetime 5 years",
            "prod lifetime:5y",
            "prod lifetime: 5y",
            "prod lifetime = 5y",
            "prod lifetme=5y",
            "prod --lifetime=5y",
            "prod --lifetime 5y",
            "prod —lifetime=5y",
            "prod –lifetime=5y",
            "prod -lifetime=5y",
            "lifetme=5y it ends",
            'prod "it ends" lifetme=5y',
            'prod reason="expiring" lifetme=5y',
            "prod reason=expiring lifetime 5y",
        )
    ],
    ("transition prod --dry-run", ONE, "no dashes"),
    ("transition prod it ends --dry-run", ONE, "no dashes"),
    ("transition prod —force", ONE, "no dashes"),
    ("transition prod it ends ttl=5y", ONE, "There is no option `ttl=`"),
    ("transition prod validity:5y", ONE, "There is no option `validity:`"),
    ("transition mode=renew", ONE, "There is no option `mode=`"),
    ("transistion prod", ONE, "transition"),
    ("verfy", ONE, "verify"),
    ("cancle", ONE, "cancel"),
    ("xyzzy", ONE, "xyzzy"),
    ("check", TWO, "dev"),
    ("check prodd", TWO, "prod"),
    ("check PROD", TWO, "PROD"),
    ("transition prof", ONE, "prod"),
    ("transition stage root ends soon", ONE, "stage"),
    ("transition stage lifetime=5y INC-1", ONE, "stage"),
    ("transition the root ends soon", ONE, "A reason comes after the mesh."),
    ("check prod now", ONE, "now"),
    ("transition prod lifetime=", ONE, "10y"),
    ("transition prod lifetime=10", ONE, "10y"),
    ("transition prod lifetime=-1y", ONE, "10y"),
    ("transition prod lifetime=1.5y", ONE, "10y"),
    ("transition prod lifetime=1e9y", ONE, "10y"),
    ("approve prod", ONE, "button"),
    ("roll back", ONE, "button"),
    ("transition prod lifetime=89d", ONE, "89d"),
    ("transition prod lifetime=21y", ONE, "21y"),
    ("transition prod lifetime=99999y", ONE, "99999y"),
    ("transition prod lifetime=0d", ONE, "0d"),
]


@pytest.mark.parametrize(("text", "meshes", "word"), ASKED_BACK, ids=[row[0] for row in ASKED_BACK])
def test_it_asks_back_at(text: str, meshes: tuple[MeshName, ...], word: str) -> None:
    read = read_command(text, meshes=meshes)

    assert isinstance(read, NotUnderstood)
    assert word in read.sentence


INJECTED = [
    "check; transition prod",
    "check\ntransition",
    "<!channel>",
    "`transition`",
    "../../check",
    "--help",
    "🔥",
]


@pytest.mark.parametrize("text", INJECTED)
def test_row_57_injected_words_never_become_a_transition(text: str) -> None:  # row 57
    read = read_command(text, meshes=ONE)

    assert isinstance(read, NotUnderstood) or read.verb is not Verb.TRANSITION


def test_row_57_long_words_are_cut() -> None:  # row 57
    read = read_command("x" * 10_000, meshes=ONE)
    long = read_command("transition prod a reason " + "y" * 10_000, meshes=ONE)

    assert isinstance(read, NotUnderstood)
    assert len(read.sentence) < 200
    assert isinstance(long, Intent)
    assert len(long.reason) == MAX_REASON


# --- warnings -----------------------------------------------------------------------------------------

PROD = MeshName("prod")
ROOT = Fingerprint("a" * 64)


def warnings_of(days: list[float], *, memory: NoticeMemory | None = None) -> list[str]:
    """The thresholds told on looks with so many days left, in order."""
    memory = memory or NoticeMemory()
    told: list[str] = []
    for left in days:
        notice = due_notice(PROD, ROOT, remaining=timedelta(days=left), memory=memory, told_at=None, now=NOW)
        if notice is None:
            continue
        memory = NoticeMemory(given=(*memory.given, *notice.given))
        if notice.threshold is not None:
            told.append(notice.threshold)
    return told


def test_a_year_of_looks_gives_each_threshold_once() -> None:
    every_six_hours = [365 - quarter / 4 for quarter in range(4 * 375)]

    told = warnings_of(every_six_hours)

    assert len(told) == len(set(told)) == len(LADDER)
    assert told[0].startswith(str(max(LADDER)))


@pytest.mark.parametrize("left", [89.0, 45.0, 12.0, 0.5, -3.0])
def test_a_first_look_at_an_old_root_gives_one_warning(left: float) -> None:
    assert len(warnings_of([left])) == 1
    assert len(warnings_of([left, left, left])) == 1


def test_looks_that_were_missed_give_one_warning_and_none_of_them_later() -> None:
    assert len(warnings_of([100, 89, 5, 5, 4])) == 2


@pytest.mark.parametrize("left", [91, 365, 3650])
def test_a_root_that_lives_long_is_not_spoken_of(left: int) -> None:
    assert due_notice(PROD, ROOT, remaining=left * DAY, memory=NoticeMemory(), told_at=None, now=NOW) is None


def test_a_new_root_is_warned_of_anew() -> None:
    first = due_notice(PROD, ROOT, remaining=5 * DAY, memory=NoticeMemory(), told_at=None, now=NOW)
    assert first is not None

    again = due_notice(
        PROD,
        Fingerprint("b" * 64),
        remaining=5 * DAY,
        memory=NoticeMemory(given=first.given),
        told_at=NOW,
        now=NOW,
    )

    assert again is not None
    assert again.threshold == first.threshold


def test_a_warning_once_given_is_never_given_again_though_the_clock_goes_back() -> None:
    given = tuple(Given(mesh=PROD, root=ROOT, threshold=f"{days} days", at=NOW) for days in (90, 60, 30))

    assert warnings_of([29, 61, 89, 29], memory=NoticeMemory(given=given)) == []
