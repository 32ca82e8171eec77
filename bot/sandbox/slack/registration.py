"""What Slack knows of the app: its tokens, scopes and slash commands, and how patient Slack is.

The tokens are made when the stand-in starts and are good for nothing else; no token of the real kind exists
here. `Patience` holds Slack's time limits so that a test may shorten them; the defaults are Slack's.
"""

import secrets
from dataclasses import dataclass, field

from bot.sandbox.slack.shapes import Json

SCOPES = (
    "commands",
    "chat:write",
    "users:read",
    "usergroups:read",
    "channels:read",
    "groups:read",
    "files:write",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlashCommand:
    """A command as the app's manifest registers it."""

    command: str
    description: str
    usage_hint: str = ""
    should_escape: bool = False  # as manifests/slack-app.yaml has it

    def to_state(self) -> Json:
        """What the page needs for completion."""
        return {"command": self.command, "description": self.description, "usage_hint": self.usage_hint}


COMMANDS = (
    SlashCommand(
        command="/istio-root",
        description="Check, rotate and verify the mesh's root certificate",
        usage_hint="check | transition | verify | status | history | cancel | help [mesh]",
    ),
    SlashCommand(command="/istio-check", description="Look at the root certificate", usage_hint="[mesh]"),
    SlashCommand(
        command="/istio-transition", description="Ask for a new root certificate", usage_hint="[mesh]"
    ),
    SlashCommand(
        command="/istio-verify", description="Is the new root certificate everywhere?", usage_hint="[mesh]"
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Slack's time limits, in seconds unless the name says otherwise (facts/slack.md section 1)."""

    ack: float = 3.0
    trigger: float = 3.0
    response_url: float = 1800.0
    response_url_uses: int = 5
    connection: float = 18_060.0  # approximate_connection_time in hello
    heartbeat: float = 10.0  # between Slack's own pings
    event_retries: tuple[float, ...] = (0.0, 60.0, 300.0)


def _token(kind: str) -> str:
    return f"{kind}-sandbox-{secrets.token_hex(12)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """The app as installed in the workspace."""

    commands: tuple[SlashCommand, ...] = COMMANDS
    scopes: tuple[str, ...] = SCOPES
    bot_token: str = field(default_factory=lambda: _token("xoxb"), repr=False)
    app_token: str = field(default_factory=lambda: _token("xapp"), repr=False)

    def command(self, name: str) -> SlashCommand | None:
        """The registered command of that name, if there is one."""
        return next((one for one in self.commands if one.command == name), None)
