"""Who people are: everything that Slack can say or fail to say of them."""

from typing import Any

import pytest

from bot.core.ids import TeamId, UserId
from bot.edges.slack.directory import SlackDirectory
from bot.errors import DirectoryUnavailable
from tests.fakes.slack import HOME, FakeSlackApi

BEN = UserId("U0BEN")


def a_user(**flags: Any) -> dict[str, Any]:
    return {"user": {"id": BEN, "team_id": HOME, "name": "ben", "profile": {"display_name": "Ben"}} | flags}


def directory(api: FakeSlackApi, *approvers: str) -> SlackDirectory:
    return SlackDirectory(api, approvers, home_team=HOME)


def test_a_member_of_the_workspace_is_nothing_but_that() -> None:
    api = FakeSlackApi()
    api.answers["users.info"] = [a_user()]

    facts = directory(api).person(HOME, BEN)

    assert (facts.team, facts.user, facts.name) == (HOME, BEN, "Ben")
    assert not any((facts.deleted, facts.is_bot, facts.is_guest, facts.is_stranger))


@pytest.mark.parametrize(
    ("flags", "fact"),
    [
        ({"deleted": True}, "deleted"),
        ({"is_bot": True}, "is_bot"),
        ({"is_workflow_bot": True}, "is_bot"),
        ({"is_restricted": True}, "is_guest"),
        ({"is_ultra_restricted": True}, "is_guest"),
        ({"is_stranger": True}, "is_stranger"),
        ({"team_id": "T0ELSEWHERE"}, "is_stranger"),
        ({"team_id": None}, "is_stranger"),
    ],
)
def test_every_flag_that_speaks_against_a_person_is_seen(flags: dict[str, Any], fact: str) -> None:
    api = FakeSlackApi()
    api.answers["users.info"] = [a_user(**flags)]

    facts = directory(api).person(HOME, BEN)

    assert getattr(facts, fact)


def test_a_person_who_comes_with_another_team_is_a_stranger_whatever_slack_says() -> None:
    api = FakeSlackApi()
    api.answers["users.info"] = [a_user()]

    assert directory(api).person(TeamId("T0ELSEWHERE"), BEN).is_stranger
    assert directory(api).person(TeamId(""), BEN).is_stranger


def test_slacks_own_account_is_no_person() -> None:
    api = FakeSlackApi()
    api.answers["users.info"] = [a_user(id="USLACKBOT")]

    assert directory(api).person(HOME, UserId("USLACKBOT")).is_bot


@pytest.mark.parametrize(
    "answer",
    [
        "user_not_found",
        "missing_scope",
        "internal_error",
        ("429", 30),
        TimeoutError(),
        OSError(),
        {},
        a_user(id="U"),
    ],
)
def test_a_person_who_cannot_be_looked_up_may_nothing(answer: Any) -> None:
    api = FakeSlackApi()
    api.answers["users.info"] = [answer]

    with pytest.raises(DirectoryUnavailable) as told:
        directory(api).person(HOME, BEN)
    assert "U0BEN" in told.value.message
    assert told.value.hint


def test_people_are_asked_for_at_every_click() -> None:
    api = FakeSlackApi()
    api.answers["users.info"] = [a_user(), a_user(deleted=True)]
    people = directory(api)

    assert not people.person(HOME, BEN).deleted
    assert people.person(HOME, BEN).deleted


def test_groups_are_resolved_anew_every_time() -> None:
    api = FakeSlackApi()
    api.answers["usergroups.users.list"] = [{"users": ["U0ANNA"]}, {"users": []}]
    people = directory(api, "U0BEN", "S0SRE")

    assert people.approvers().users == {BEN, UserId("U0ANNA")}
    assert people.approvers().users == {BEN}
    assert people.approvers().configured == ("U0BEN", "S0SRE")


def test_no_configured_approvers_are_nobody() -> None:
    assert directory(FakeSlackApi()).approvers().users == frozenset()


@pytest.mark.parametrize(
    "answer",
    [
        "no_such_subteam",
        "plan_upgrade_required",
        "missing_scope",
        ("429", 30),
        TimeoutError(),
        {},
        {"users": None},
    ],
)
def test_attack_17_a_group_that_cannot_be_resolved_is_told_by_name_and_nobody_may_approve(
    answer: Any,
) -> None:
    api = FakeSlackApi()
    api.answers["usergroups.users.list"] = [answer]

    with pytest.raises(DirectoryUnavailable, match="S0SRE") as told:
        directory(api, "U0BEN", "S0SRE").approvers()
    assert told.value.hint


def test_an_approver_that_is_no_id_is_refused() -> None:
    with pytest.raises(DirectoryUnavailable, match="@ben"):
        directory(FakeSlackApi(), "@ben").approvers()


@pytest.mark.parametrize(
    ("facts", "fault"),
    [
        ({"is_member": True}, None),
        ({"is_member": False}, "member"),
        ({"is_member": True, "is_archived": True}, "archived"),
        ({"is_member": True, "is_ext_shared": True}, "another organisation"),
        ({"is_member": True, "is_pending_ext_shared": True}, "about to be shared"),
        ({"is_member": True, "pending_shared": ["T1"]}, "about to be shared"),
        ({"is_im": True}, "direct message"),
    ],
)
def test_a_channel_is_fit_or_has_a_reason(facts: dict[str, Any], fault: str | None) -> None:
    api = FakeSlackApi()
    api.answers["conversations.info"] = [{"channel": facts}]

    told = directory(api).channel_fault("C0MESH")

    assert (told is None) if fault is None else (told is not None and fault in told)


def test_a_channel_that_does_not_exist_is_not_fit() -> None:
    api = FakeSlackApi()
    api.answers["conversations.info"] = ["channel_not_found"]

    assert "does not exist" in str(directory(api).channel_fault("C0MESH"))


@pytest.mark.parametrize("answer", ["internal_error", ("429", 30), TimeoutError(), {}])
def test_a_channel_that_cannot_be_looked_up_is_not_decided_in(answer: Any) -> None:
    api = FakeSlackApi()
    api.answers["conversations.info"] = [answer]

    with pytest.raises(DirectoryUnavailable, match="C0MESH"):
        directory(api).channel_fault("C0MESH")
