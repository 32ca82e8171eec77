"""Whatever stands in clusters and in people's texts, Slack takes the message and nobody is called."""

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.core.approval import DECISIONS, Act, Approvers, Circumstances, PersonFacts, acts_open_to, authorise
from bot.core.findings import Finding, Severity, Tally, Verdict
from bot.core.ids import MeshName
from bot.core.plan import StepKind
from bot.core.progress import Proof, StepState, Straggler
from bot.core.record import (
    CheckCouldNotRun,
    Event,
    Report,
    ReportPosted,
    RequestFailed,
    Result,
    StragglerFile,
    Warned,
)
from bot.core.replies import HelpShown, HistoryShown, Refused, StatusShown
from bot.core.rotation import Person, Rotation, RotationState
from bot.edges.slack.doors import ACTS, Button
from bot.edges.slack.render import Rendered, render, reply_shown
from bot.edges.slack.render.dialogs import (
    answered_in_dialog,
    ending_looked_for,
    rejection_dialog,
    transition_dialog,
)
from bot.edges.slack.render.words import code, cut, plain, quoted, safe
from bot.sandbox.slack import check_blocks, check_view
from tests.unit.edges.slack_samples import (
    ANNA,
    APPROVERS,
    BEN,
    CARD,
    CONTENTS,
    HOME,
    NOW,
    OFFER,
    PROD,
    REPLIES,
    ROTATION_ID,
    ROTATIONS,
    a_milestone,
    a_plan,
    a_report,
    a_step,
    decision,
    proposed,
)

ATTACK = (
    "<!channel> <@U0EVIL> <https://evil.test|Approve> `code` *Approved* & \u202e\u200bevil\u2066\n> quoted"
)
TOKENS = re.compile(r"<(?!@[UW][A-Z0-9]+>|!date\^|!subteam\^S[A-Z0-9]+>|#C[A-Z0-9]+>)")
"""An angle bracket that begins anything but the mentions and dates that rendering makes itself."""

texts = st.one_of(
    st.text(max_size=600),
    st.sampled_from(
        [ATTACK, "<!here>" * 200, "&" * 3000, "x" * 5000, "a" * 253, "", "\u202e", "&amp;lt;" * 400]
    ),
)


def strings_in(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for inner in value.values() for text in strings_in(inner)]
    return [text for inner in value for text in strings_in(inner)] if isinstance(value, list) else []


def hold(rendered: Rendered) -> None:
    """Slack takes it, and nothing in it calls anybody or links anywhere."""
    blocks = list(rendered.blocks)
    assert check_blocks(blocks) == []
    assert 0 < len(rendered.text) <= 3000
    assert len(json.dumps(blocks)) < 60_000
    assert sum(len(text) for text in strings_in(blocks)) < 14_000
    for text in (rendered.text, *mrkdwn_in(blocks)):
        assert not TOKENS.search(text), text
        assert not re.search("[\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", text)


def mrkdwn_in(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["text"]] if value.get("type") == "mrkdwn" else []
        return own + [text for inner in value.values() for text in mrkdwn_in(inner)]
    return [text for inner in value for text in mrkdwn_in(inner)] if isinstance(value, list) else []


def hostile(text: str, *, steps: int = 8) -> Rotation:
    """A rotation with that text wherever a text can stand."""
    made = [
        replace(a_step(StepKind.RESTART, text), id=f"s{n}", why=text, felt=text, undo=text)
        for n in range(steps)
    ]
    plan = a_plan()
    old = replace(plan.old_root, subject=text)
    plan = replace(
        plan,
        mesh=MeshName(text),
        namespace=text,
        authority=text,
        old_root=old,
        steps=tuple(made),
        undo_steps=tuple(made),
        notes=(text,) * 9,
    )
    states = tuple(StepState(step_id=step.id) for step in made)
    person = Person(team=HOME, user=ANNA.user, name=text)
    return replace(
        proposed(),
        plan=plan,
        mesh=MeshName(text),
        reason=text,
        requester=person,
        steps=states,
        undo_steps=states,
        outcome=text,
        left_behind=(Straggler(what=text, reason=text, cure=text),) * 12,
    )


@pytest.mark.parametrize("name", ROTATIONS)
def test_every_card_is_valid(name: str) -> None:
    hold(render(CARD, rotation=ROTATIONS[name], approvers=APPROVERS))


@pytest.mark.parametrize("name", CONTENTS)
def test_every_content_is_valid(name: str) -> None:
    hold(render(CONTENTS[name], rotation=proposed()))


@pytest.mark.parametrize("name", REPLIES)
def test_every_reply_is_valid(name: str) -> None:
    hold(reply_shown(REPLIES[name]))


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    text=texts,
    state=st.sampled_from(RotationState),
    steps=st.sampled_from([1, 8, 30]),
    backwards=st.booleans(),
)
def test_any_text_in_any_state_makes_a_card_that_slack_takes(
    *, text: str, state: RotationState, steps: int, backwards: bool
) -> None:
    rotation = replace(hostile(text, steps=steps), state=state, backwards=backwards, started_at=NOW)
    stragglers = (Straggler(what=text, reason=text, cure=text),) * 10
    current = rotation.walk[0][1].entered(NOW, timedelta(minutes=10)).acted()
    rotation = rotation.with_step(
        current.with_progress(Proof(complete=False, done=1, total=10**6, stragglers=stragglers, note=text))
    )

    hold(render(CARD, rotation=rotation, approvers=(*APPROVERS, text)))


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=texts, many=st.sampled_from([0, 1, 60]))
def test_any_text_makes_messages_that_slack_takes(text: str, many: int) -> None:
    person = Person(team=HOME, user=ANNA.user, name=text)
    stragglers = (Straggler(what=text, reason=text, cure=text, verdict="unknown"),) * many
    report = hostile_report(text, many, stragglers)
    contents = (
        ReportPosted(report=report, person=person),
        Warned(threshold=text, report=report),
        CheckCouldNotRun(mesh=MeshName(text), at=NOW, message=text, hint=text, last_success=None),
        RequestFailed(
            what=text,
            mesh=MeshName(text),
            person=person,
            message=text,
            hint=text,
            findings=report.findings,
            reference=text,
        ),
        Result(rotation_id=ROTATION_ID, event=Event.DONE, at=NOW, note=text, stragglers=stragglers),
        a_milestone(
            Event.PAUSED,
            person=person,
            step_title=text,
            note=text,
            facts=((text, text),) * many,
            stragglers=stragglers,
        ),
        StragglerFile(name=text, stragglers=stragglers),
    )

    for content in contents:
        hold(render(content, rotation=hostile(text)))


def hostile_report(text: str, many: int, stragglers: tuple[Straggler, ...]) -> Report:
    finding = Finding(
        check_id=text,
        verdict=Verdict.NOT_OK,
        severity=Severity.CRITICAL,
        summary=text,
        hint=text,
        offenders=(text,) * many,
    )
    return replace(
        a_report(),
        mesh=MeshName(text),
        headline=text,
        meaning=text,
        authority=text,
        evidence=(text,) * many,
        root_subject=text,
        first_break=text,
        findings=(finding,) * many,
        tallies=(Tally(kind=text, ok=1, not_ok=2, unknown=3, skipped=4),) * min(many, 12),
        stragglers=stragglers,
        unread=(text,) * many,
    )


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=texts, many=st.sampled_from([1, 60]))
def test_any_text_makes_replies_that_slack_takes(text: str, many: int) -> None:
    rotation = hostile(text)

    hold(reply_shown(Refused(sentence=text or "No", hint=text)))
    hold(reply_shown(HelpShown(meshes=(MeshName(text),) * many, lead=text)))
    hold(reply_shown(HistoryShown(mesh=MeshName(text), rotations=(rotation,) * many)))
    hold(
        reply_shown(StatusShown(active=(rotation,) * many, checks=(), never_checked=(MeshName(text),) * many))
    )


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=texts, days=st.integers(90, 7300))
def test_any_mesh_and_lifetime_make_a_dialog_that_slack_takes(name: str, days: int) -> None:
    lifetime = timedelta(days=days)

    assert (
        check_view(transition_dialog((MeshName(name[:253] or "m"),), lifetime=lifetime, channel="C0MESH"))
        == []
    )
    many = tuple(MeshName(f"mesh-{n}") for n in range(150))
    assert check_view(transition_dialog(many, lifetime=lifetime, channel="C0MESH")) == []
    assert check_view(rejection_dialog(ROTATION_ID, channel="C0MESH")) == []


def test_attack_19_a_reason_calls_nobody_links_nowhere_and_stays_on_its_line() -> None:
    rotation = replace(proposed(), reason=ATTACK * 20)

    shown = render(CARD, rotation=rotation, approvers=APPROVERS)

    hold(shown)
    [line] = [line for text in mrkdwn_in(list(shown.blocks)) for line in text.splitlines() if "Why" in line]
    assert "&lt;!channel&gt; &lt;@U0EVIL&gt; &lt;https://evil.test|Approve&gt;" in line
    assert line.endswith("…”")


def test_a_cut_never_goes_through_an_entity_or_a_mention() -> None:
    for limit in range(1, 20):
        assert re.fullmatch(r"(&amp;)*…", safe("&" * 50, limit))
        assert "<" not in cut("hello <@U0ANNA>", min(limit, 14))


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("``` no *way* ~ever~ _here_", "''' no ∗way∗ ∼ever∼ ˍhereˍ"),
        ("`*Approved by* nobody`", "'∗Approved by∗ nobody'"),
        (">>> all of it", "››› all of it"),
        ("*_~both~_*", "∗ˍ∼both∼ˍ∗"),
        ("**a b*", "∗∗a b∗"),
        ("istio_ca__old at 0 9 * * 1 is 2*3 > 5", "istio_ca__old at 0 9 * * 1 is 2*3 &gt; 5"),
    ],
)
def test_nothing_that_a_person_wrote_is_formatted(written: str, shown: str) -> None:
    assert quoted(written) == shown
    assert len(quoted(written * 20, 50)) <= 50


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Choose *Keep waiting* or `rootkeeper doctor`.", "Choose *Keep waiting* or `rootkeeper doctor`."),
        ("refused: `a *b: no ``` here_", "refused: 'a ∗b: no ''' hereˍ"),
        ("> name ~ *.prod.svc", "› name ~ ∗.prod.svc"),
    ],
)
def test_no_formatting_of_a_sentence_goes_on_after_its_end(said: str, shown: str) -> None:
    assert safe(said) == shown


def test_a_pair_of_marks_that_is_cut_in_two_formats_nothing() -> None:
    assert safe("Run `rootkeeper doctor` now", 12) == "Run 'rootke…"
    assert safe("Choose *Keep waiting* now", 13) == "Choose ∗Keep…"


def test_what_stands_in_code_is_as_it_was() -> None:
    assert code("*.prod `_x_` ~ > 5") == "`*.prod '_x_' ~ &gt; 5`"


def test_people_who_format_leave_the_card_its_own_words() -> None:
    rejected = next(one for one in ROTATIONS.values() if one.decisions)
    first, *others = rejected.decisions
    formatting = replace(rejected, reason="``` a", decisions=(replace(first, note="``` no *way"), *others))

    shown = render(CARD, rotation=formatting, approvers=APPROVERS)

    texts = mrkdwn_in(list(shown.blocks))
    assert not any("```" in text for text in texts)
    assert any("*Why:* “''' a”\n" in text and "“''' no ∗way”" in text for text in texts)


@pytest.mark.parametrize("state", [RotationState.REJECTED, RotationState.CANCELLED])
def test_the_bot_takes_no_persons_words_for_its_own(state: RotationState) -> None:
    words = "*Approved by* somebody"
    no = decision(Act.REJECT, note=words)
    ended = proposed().decided(no).moved(state, now=NOW, outcome=words)
    told = a_milestone(Event.REJECTED, person=BEN, note=words)

    card, thread = render(CARD, rotation=ended, approvers=APPROVERS), render(told, rotation=ended)

    for shown in (card, thread):
        texts = [*mrkdwn_in(list(shown.blocks)), shown.text]
        assert all("“\u2217Approved by\u2217 somebody”" in text for text in texts if "somebody" in text)
        assert any("somebody" in text for text in texts)


def test_plain_text_is_never_empty_and_never_too_long() -> None:
    assert plain("\u200b\u202e", 75)
    assert len(plain("x" * 500, 75)) == 75


def test_every_mrkdwn_text_is_verbatim_so_that_slack_makes_no_links() -> None:
    shown = render(CARD, rotation=proposed(), approvers=APPROVERS)

    assert json.dumps(list(shown.blocks)).count('"mrkdwn"') == json.dumps(list(shown.blocks)).count(
        '"verbatim": true'
    )


def test_buttons_carry_the_rotation_id_and_nothing_else() -> None:
    for rotation in ROTATIONS.values():
        rows = [b for b in render(CARD, rotation=rotation).blocks if b["type"] == "actions"]
        for button in (element for row in rows for element in row["elements"]):
            assert button["value"] == ROTATION_ID
            assert "prod" in button["accessibility_label"]


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("proposed", ["Approve", "Reject…", "Cancel"]),
        ("approved", ["Cancel"]),
        ("running", ["Stop"]),
        ("stopping", []),
        ("paused", ["Keep waiting", "Roll back", "End here…"]),
        ("paused rolling back", ["Keep waiting", "End here…"]),
        ("paused untouched", ["Keep waiting", "Cancel"]),
        ("rolling back", []),
        *(
            (name, [])
            for name in ("done", "failed", "rolled back", "ended short", "rejected", "expired", "cancelled")
        ),
    ],
)
def test_only_buttons_that_count_are_shown(name: str, labels: list[str]) -> None:
    shown = render(CARD, rotation=ROTATIONS[name])

    rows = [block for block in shown.blocks if block["type"] == "actions"]
    assert [element["text"]["text"] for row in rows for element in row["elements"]] == labels


@pytest.mark.parametrize("name", ROTATIONS)
def test_buttons_lead_and_what_is_allowed_agree_in_every_state(name: str) -> None:
    rotation = ROTATIONS[name]

    blocks = render(CARD, rotation=rotation).blocks

    shown = [element["action_id"] for b in blocks if b["type"] == "actions" for element in b["elements"]]
    assert [PRESSED[Button(one)] for one in shown] == list(acts_open_to(rotation))
    choices = re.findall(r"^• \*(.+?)\*", blocks[1]["text"]["text"], re.MULTILINE)
    if rotation.state is RotationState.PAUSED:
        labels = [element["text"]["text"] for element in blocks[-1]["elements"]]
        assert choices == [label.removesuffix("…") for label in labels]
    else:
        assert choices == []


@pytest.mark.parametrize("name", ROTATIONS)
def test_a_button_that_is_shown_is_for_somebody_and_every_other_act_for_nobody(name: str) -> None:
    rotation = ROTATIONS[name]

    allowed = {act for act in DECISIONS for who in (ANNA, BEN) if may(act, who, rotation)}

    assert allowed == set(acts_open_to(rotation))


def may(act: Act, who: Person, rotation: Rotation) -> bool:
    facts = PersonFacts(
        team=who.team,
        user=who.user,
        name=who.name,
        deleted=False,
        is_bot=False,
        is_guest=False,
        is_stranger=False,
    )
    here = Circumstances(
        channel="C0MESH", decision_channel="C0MESH", channel_fault=None, home_team=HOME, now=NOW
    )
    approvers = Approvers(users=frozenset({BEN.user}), configured=APPROVERS)
    return authorise(act, facts, approvers=approvers, rotation=rotation, circumstances=here) is None


PRESSED = {**ACTS, Button.REJECT: Act.REJECT, Button.END: Act.END}
"""What each button is for; Reject and End here ask first."""


def test_every_button_is_for_an_act_and_every_decision_has_a_button() -> None:
    assert set(PRESSED) == set(Button)
    assert set(PRESSED.values()) == DECISIONS


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=texts, many=st.sampled_from([0, 1, 10]), given_up=st.booleans())
def test_any_text_makes_a_dialog_of_an_ending_that_slack_takes(
    *, text: str, many: int, given_up: bool
) -> None:
    stragglers = (Straggler(what=text, reason=text, cure=text),) * many
    offer = replace(
        OFFER, mesh=MeshName(text), share=text, why=text * given_up, stragglers=stragglers, total=10**6
    )

    hold(reply_shown(replace(offer, changed=True)))
    for view in (answered_in_dialog(offer, channel="C0MESH"), ending_looked_for()):
        assert check_view(view) == []
    assert check_view(answered_in_dialog(Refused(sentence=text or "No", hint=text), channel="C0")) == []


def test_approve_asks_once_more_naming_mesh_cluster_and_plan() -> None:
    rotation = proposed()

    approve = render(CARD, rotation=rotation).blocks[-1]["elements"][0]

    asked = approve["confirm"]["title"]["text"] + approve["confirm"]["text"]["text"]
    assert "prod" in asked
    assert rotation.plan.cluster_uid[:8] in asked
    assert rotation.digest[:16] in asked


def test_a_report_over_something_unread_is_never_green() -> None:
    report = replace(a_report("verify"), verdict=Verdict.UNKNOWN, findings=(), stragglers=())

    shown = render(ReportPosted(report=report, person=ANNA))

    assert "could not tell" in shown.text
    tallies = replace(a_report().tallies[0], ok=0, not_ok=0, unknown=0)
    empty = render(ReportPosted(report=replace(report, tallies=(tallies,)), person=ANNA))
    assert "❓ workload secrets: none seen" in json.dumps(list(empty.blocks), ensure_ascii=False)


def test_the_mesh_without_approvers_says_so_on_its_card() -> None:
    assert "nobody" in json.dumps(list(render(CARD, rotation=proposed()).blocks))


def test_prod_is_named_in_every_fallback_text_of_a_card() -> None:
    for rotation in ROTATIONS.values():
        assert PROD in render(CARD, rotation=rotation).text


@pytest.mark.parametrize("event", Event)
def test_every_event_has_its_words(event: Event) -> None:
    hold(render(a_milestone(event), rotation=proposed()))
    hold(render(Result(rotation_id=ROTATION_ID, event=event, at=NOW), rotation=proposed()))


def test_there_is_a_pinned_card_for_every_state() -> None:
    assert {rotation.state for rotation in ROTATIONS.values()} == set(RotationState)
