"""Every sentence for chat, pinned by golden files. ROOTKEEPER_UPDATE_GOLDEN=1 writes them anew."""

import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.core.ids import MeshName
from bot.core.progress import MOST_NAMED, Straggler
from bot.core.record import Event, ReportPosted, StragglerFile
from bot.edges.slack.render import Rendered, render, reply_shown
from bot.edges.slack.render.decisions import decisions
from bot.edges.slack.render.dialogs import (
    answered_in_dialog,
    ending_looked_for,
    rejection_dialog,
    transition_dialog,
)
from bot.edges.slack.render.steps import left_behind, undoing
from bot.flow.tell import straggler_file
from tests.unit.edges.slack_samples import (
    APPROVERS,
    BEN,
    CARD,
    CONTENTS,
    OFFERS,
    PROD,
    REPLIES,
    ROTATION_ID,
    ROTATIONS,
    STEPS,
    STRAGGLERS,
    a_milestone,
    a_plan,
    a_report,
    decision,
    proposed,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "slack"


def hold(name: str, value: object) -> None:
    """Compare with the golden file, or write it."""
    path = GOLDEN / f"{name.replace(' ', '-')}.json"
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("ROOTKEEPER_UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


def shown(rendered: Rendered) -> dict[str, object]:
    return {"text": rendered.text, "blocks": list(rendered.blocks)}


@pytest.mark.parametrize("name", ROTATIONS)
def test_card_is_as_pinned(name: str) -> None:
    hold(f"card {name}", shown(render(CARD, rotation=ROTATIONS[name], approvers=APPROVERS)))


@pytest.mark.parametrize("name", CONTENTS)
def test_content_is_as_pinned(name: str) -> None:
    hold(name, shown(render(CONTENTS[name], rotation=proposed())))


@pytest.mark.parametrize("name", REPLIES)
def test_reply_is_as_pinned(name: str) -> None:
    hold(f"reply {name}", shown(reply_shown(REPLIES[name])))


def test_dialogs_are_as_pinned() -> None:
    lifetime = timedelta(days=3650)

    hold("dialog transition", transition_dialog((PROD,), lifetime=lifetime, channel="C0MESH"))
    meshes = (PROD, MeshName("stage"))
    hold("dialog transition several", transition_dialog(meshes, lifetime=lifetime, channel="C0MESH"))
    hold("dialog rejection", rejection_dialog(ROTATION_ID, channel="C0MESH"))


@pytest.mark.parametrize("name", OFFERS)
def test_the_dialog_of_an_ending_is_as_pinned(name: str) -> None:
    hold(f"dialog ending {name}", answered_in_dialog(OFFERS[name], channel="C0MESH"))


def test_the_dialog_of_an_ending_while_it_looks_and_when_it_is_refused_is_as_pinned() -> None:
    hold("dialog ending looking", ending_looked_for())
    refused = REPLIES["refused own request"]
    hold("dialog ending refused", answered_in_dialog(refused, channel="C0MESH"))


def test_what_happened_is_told_from_the_event_and_not_from_the_words_of_its_reason() -> None:
    rejected = a_milestone(Event.REJECTED, person=BEN, note="skipped: not during the freeze")

    told = render(rejected, rotation=proposed()).text

    assert "🚫 *Rejected* by" in told
    assert told.endswith("“skipped: not during the freeze”")


def test_stragglers_that_all_fit_into_words_are_not_followed_by_none_more() -> None:
    eleven = StragglerFile(name="stragglers.txt", stragglers=many_stragglers(11))

    text = "\n".join(block["text"]["text"] for block in render(eleven).blocks)

    assert text.count("shop/istio.job-") == 11
    assert "more." not in text
    assert "Slack did not take the file" in text


@pytest.mark.parametrize("number", [MOST_NAMED, MOST_NAMED + 1])
def test_a_file_is_spoken_of_where_one_follows(number: int) -> None:
    stragglers = many_stragglers(number)
    report = replace(a_report(), stragglers=stragglers)
    short = replace(ROTATIONS["ended short"], left_behind=stragglers)

    files = straggler_file("report/1", "prod", stragglers, at=report.at)
    posted = render(ReportPosted(report=report, person=BEN))

    assert ("in the file in this thread" in str(posted.blocks)) is bool(files)
    assert ("in the file in the thread" in "\n".join(left_behind(short))) is bool(files)


def many_stragglers(number: int) -> tuple[Straggler, ...]:
    return tuple(replace(STRAGGLERS[0], what=f"Secret shop/istio.job-{one}") for one in range(number))


def test_stragglers_that_do_not_fit_into_words_are_counted_and_a_command_names_them() -> None:
    many = StragglerFile(name="stragglers.txt", stragglers=many_stragglers(33))

    text = "\n".join(block["text"]["text"] for block in render(many).blocks)

    assert "and 13 more." in text
    assert "`rootkeeper verify --json`" in text


def test_an_undo_that_goes_the_same_way_is_said_in_a_sentence() -> None:
    plan = replace(a_plan(), undo_steps=STEPS[1:])

    assert undoing(plan) == (
        "*If it goes wrong* it pauses and asks. *Roll back* is part of this approval: steps 2 to "
        f"{len(STEPS)} once more, with the old root's very bytes from the backup (about 7 min 12 s)."
    )


def test_who_approved_is_named_however_much_was_decided_since() -> None:
    approved = proposed().decided(decision("approve"))
    for number in range(9):
        approved = approved.decided(replace(decision("keep waiting"), note=f"number {number}"))

    said = decisions(approved)

    assert said[0].startswith("✅ *Approved* by <@U0BEN>")
    assert said[1] == "… 3 more"
    assert "number 8" in said[-1]
