"""Who people are and who may approve, asked of Slack at the click and never remembered.

Any error means no: it becomes DirectoryUnavailable, which says what could not be looked up.
"""

from collections.abc import Callable, Sequence
from typing import Any

from slack_sdk import WebClient

from bot.core.approval import Approvers, PersonFacts
from bot.core.ids import TeamId, UserId
from bot.edges.slack.faults import SLACK_TROUBLE, fault_of
from bot.errors import DirectoryUnavailable

SLACK_ITSELF = frozenset({"USLACK", "USLACKBOT"})
"""Slack's own accounts; users.info does not call them bots."""


class SlackDirectory:
    """The Directory port over users.info, usergroups.users.list and conversations.info."""

    def __init__(self, client: WebClient, approvers: Sequence[str], *, home_team: TeamId) -> None:
        self._client = client
        self._configured = tuple(dict.fromkeys(approvers))
        self._home = home_team

    def person(self, team: TeamId, user: UserId) -> PersonFacts:
        """What Slack says of a person now; from another workspace when Slack and payload disagree."""
        answer = _asked(f"user {user}", lambda: self._client.users_info(user=user))
        facts = answer.get("user")
        if not isinstance(facts, dict) or facts.get("id") != user:
            raise DirectoryUnavailable(f"Slack told nothing about user {user}")
        teams = {team, facts.get("team_id"), self._home}
        return PersonFacts(
            team=team,
            user=user,
            name=_name(facts) or str(user),
            deleted=bool(facts.get("deleted")),
            is_bot=bool(facts.get("is_bot") or facts.get("is_workflow_bot") or user in SLACK_ITSELF),
            is_guest=bool(facts.get("is_restricted") or facts.get("is_ultra_restricted")),
            is_stranger=bool(facts.get("is_stranger") or len(teams) > 1),
        )

    def approvers(self) -> Approvers:
        """The configured people, and whoever is in the configured groups now."""
        users: set[UserId] = set()
        for one in self._configured:
            users |= self._members(one) if one.startswith("S") else {_user(one)}
        return Approvers(users=frozenset(users), configured=self._configured)

    def _members(self, group: str) -> set[UserId]:
        answer = _asked(f"user group {group}", lambda: self._client.usergroups_users_list(usergroup=group))
        members = answer.get("users")
        if not isinstance(members, list):
            raise DirectoryUnavailable(f"Slack told no members of user group {group}")
        return {UserId(member) for member in members if isinstance(member, str)}

    def channel_fault(self, channel: str) -> str | None:
        """Why this channel must not be used, as the end of a sentence that begins with `it`."""
        try:
            answer = self._client.conversations_info(channel=channel).data
        except SLACK_TROUBLE as error:
            if fault_of(error).code == "channel_not_found":
                return "does not exist, or the bot was not invited to it"
            raise _unavailable(f"channel {channel}", error) from None
        facts = answer.get("channel") if isinstance(answer, dict) else None
        if not isinstance(facts, dict):
            raise DirectoryUnavailable(f"Slack told nothing about channel {channel}")
        return channel_fault(facts)


def channel_fault(facts: dict[str, Any]) -> str | None:
    """The first reason against a channel, of conversations.info's object."""
    if facts.get("is_im") or facts.get("is_mpim"):
        return "is a direct message"
    if facts.get("is_archived"):
        return "is archived"
    if facts.get("is_ext_shared"):
        return "is shared with another organisation"
    if facts.get("is_pending_ext_shared") or facts.get("pending_shared"):
        return "is about to be shared with another organisation"
    if not facts.get("is_member"):
        return "does not have this bot as a member"
    return None


def _user(one: str) -> UserId:
    if not one.startswith(("U", "W")):
        raise DirectoryUnavailable(
            f"{one} among the approvers is neither a user nor a group",
            hint="Name approvers by id: U… or W… for people, S… for user groups.",
        )
    return UserId(one)


def _name(facts: dict[str, Any]) -> str:
    profile = facts.get("profile")
    shown = profile.get("display_name") if isinstance(profile, dict) else ""
    return str(shown or facts.get("real_name") or facts.get("name") or "")[:80]


def _asked(what: str, call: Callable[[], Any]) -> dict[str, Any]:
    try:
        answer = call().data
    except SLACK_TROUBLE as error:
        raise _unavailable(what, error) from None
    return answer if isinstance(answer, dict) else {}


def _unavailable(what: str, error: Exception) -> DirectoryUnavailable:
    fault = fault_of(error)
    return DirectoryUnavailable(
        f"{what} could not be looked up in Slack: {fault.code}",
        hint=fault.hint,
        retry_after=fault.retry_after,
    )
