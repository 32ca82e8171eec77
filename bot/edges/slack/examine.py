"""`rootkeeper doctor` for Slack: tokens, scopes, channel, approvers; each fault with its cure.

Nothing is posted. What cannot be asked because something before it failed is unknown, never fine.
"""

from collections.abc import Sequence
from typing import Any

from slack_sdk import WebClient

from bot.core.approval import PersonFacts
from bot.core.findings import Finding, Severity, Verdict
from bot.core.ids import TeamId, UserId
from bot.edges.slack.directory import SlackDirectory
from bot.edges.slack.faults import SLACK_TROUBLE, fault_of
from bot.errors import DirectoryUnavailable

SCOPES = {
    "commands": "slash commands",
    "chat:write": "cards, threads and refusals",
    "users:read": "looking up who approves",
    "usergroups:read": "approvers named by user group",
    "channels:read": "whether the channel is shared outside or archived",
    "groups:read": "the same for a private channel",
    "files:write": "long lists of stragglers as a file",
}
"""Every scope that the bot token needs, and what for; manifests/slack-app.yaml asks for these."""

ENOUGH = 2
"""So that everybody's request has somebody else to approve it."""
MAX_LOOKED_UP = 50
"""users.info allows about 100 a minute."""

_REINSTALL = (
    "Add them under OAuth & Permissions (or paste manifests/slack-app.yaml again) and reinstall the app."
)


def examine(
    client: WebClient, app_token: str, *, channel: str, approvers: Sequence[str]
) -> tuple[Finding, ...]:
    """Everything about Slack that can be wrong before anybody needs it."""
    try:
        answer = client.auth_test()
    except SLACK_TROUBLE as error:
        unknown = [_unknown(f"doctor.slack.{what}") for what in ("scopes", "channel", "approvers")]
        return (
            _bad_call("token", "The bot token is not accepted", error),
            _app_token(client, app_token),
            *unknown,
        )
    directory = SlackDirectory(client, approvers, home_team=TeamId(str(answer["team_id"])))
    named = f"The bot token is good: {answer.get('user')} in {answer.get('team')} ({answer['team_id']})"
    return (
        _fine("token", named),
        _app_token(client, app_token),
        _scopes(answer.headers),
        _channel(directory, channel),
        _approvers(directory, TeamId(str(answer["team_id"]))),
    )


def _app_token(client: WebClient, app_token: str) -> Finding:
    """Opening a connection's address opens no connection."""
    try:
        client.apps_connections_open(app_token=app_token)
    except SLACK_TROUBLE as error:
        return _bad_call(
            "app_token", "The app token does not open a Socket Mode connection", error, _MAKE_ONE
        )
    return _fine("app_token", "The app token is good and Socket Mode is on")


_MAKE_ONE = (
    "Make an app-level token with the scope connections:write under Basic Information, "
    "switch Socket Mode on, and put the token (xapp-…) into the settings."
)


def _scopes(headers: Any) -> Finding:
    named = {str(k).lower(): v for k, v in headers.items()}
    value = named.get("x-oauth-scopes")
    if value is None:
        return _finding("scopes", Verdict.UNKNOWN, "Slack did not say which scopes the bot token has")
    text = ",".join(value) if isinstance(value, list) else str(value)
    granted = {scope.strip() for scope in text.split(",")}
    missing = [f"{scope} ({why})" for scope, why in SCOPES.items() if scope not in granted]
    if not missing:
        return _fine("scopes", f"All {len(SCOPES)} scopes are granted")
    return _finding(
        "scopes",
        Verdict.NOT_OK,
        f"{len(missing)} of {len(SCOPES)} scopes are missing: {', '.join(missing)}",
        hint=_REINSTALL,
        offenders=tuple(missing),
    )


def _channel(directory: SlackDirectory, channel: str) -> Finding:
    try:
        fault = directory.channel_fault(channel)
    except DirectoryUnavailable as error:
        return _finding("channel", Verdict.UNKNOWN, error.message, hint=error.hint)
    if fault is None:
        return _fine("channel", f"Channel {channel} is fit for decisions")
    hint = (
        "Invite the bot (`/invite @Rootkeeper`), or name a channel by id that is neither archived nor shared."
    )
    return _finding("channel", Verdict.NOT_OK, f"Channel {channel} cannot be used: it {fault}", hint=hint)


def _approvers(directory: SlackDirectory, home: TeamId) -> Finding:
    """Whether anybody can approve at all, and whether everybody's request has somebody."""
    try:
        users = sorted(directory.approvers().users)
        people = [directory.person(home, user) for user in users[:MAX_LOOKED_UP]]
    except DirectoryUnavailable as error:
        return _finding("approvers", Verdict.UNKNOWN, error.message, hint=error.hint)
    unfit = tuple(f"{one.name} ({one.user}): {why}" for one in people if (why := _unfit(one)))
    able: list[UserId] = [one.user for one in people if not _unfit(one)]
    if len(able) >= ENOUGH:
        said = f"{len(able)} people may approve" + (f"; {len(unfit)} listed may not" if unfit else "")
        return _finding("approvers", Verdict.OK, said, offenders=unfit)
    hint = "Name at least two people of this workspace (U…) or a user group (S…) with two, by id."
    said = f"Only {able[0]} may approve, so nobody can approve what {able[0]} asks for" if able else ""
    return _finding(
        "approvers", Verdict.NOT_OK, said or "Nobody can approve anything", hint=hint, offenders=unfit
    )


def _unfit(person: PersonFacts) -> str:
    for fault, word in (
        (person.deleted, "deactivated"),
        (person.is_bot, "a bot"),
        (person.is_guest, "a guest"),
        (person.is_stranger, "of another organisation"),
    ):
        if fault:
            return word
    return ""


def _bad_call(what: str, summary: str, error: Exception, hint: str = "") -> Finding:
    fault = fault_of(error)
    return _finding(what, Verdict.NOT_OK, f"{summary}: {fault.code}", hint=fault.hint or hint)


def _unknown(check_id: str) -> Finding:
    return Finding(
        check_id=check_id,
        verdict=Verdict.UNKNOWN,
        severity=Severity.CRITICAL,
        summary="Could not be asked without a good bot token",
        hint="Mend the bot token first.",
    )


def _fine(what: str, summary: str) -> Finding:
    return _finding(what, Verdict.OK, summary)


def _finding(
    what: str, verdict: Verdict, summary: str, *, hint: str = "", offenders: tuple[str, ...] = ()
) -> Finding:
    return Finding(
        check_id=f"doctor.slack.{what}",
        verdict=verdict,
        severity=Severity.CRITICAL,
        summary=summary,
        hint=hint,
        offenders=offenders,
    )
