"""manifests/slack-app.yaml says what the code needs, no less and no more."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.core.findings import Verdict
from bot.edges.slack.doors import COMMANDS
from bot.edges.slack.examine import SCOPES, examine
from tests.fakes.slack import FakeSlackApi

MANIFEST: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[3] / "manifests" / "slack-app.yaml").read_text(encoding="utf-8")
)


def test_the_manifest_registers_every_command_as_the_listeners_know_it() -> None:
    registered = MANIFEST["features"]["slash_commands"]

    assert [(c["command"], c["description"], c["usage_hint"]) for c in registered] == [
        (c.name, c.description, c.usage_hint) for c in COMMANDS
    ]


def test_the_manifest_asks_for_the_needed_scopes_only() -> None:
    assert set(MANIFEST["oauth_config"]["scopes"]["bot"]) == set(SCOPES)


def test_the_manifest_is_for_socket_mode_with_buttons() -> None:
    assert MANIFEST["settings"]["socket_mode_enabled"] is True
    assert MANIFEST["settings"]["interactivity"] == {"is_enabled": True}


def test_the_manifest_keeps_slacks_limits() -> None:
    shown = MANIFEST["display_information"]

    assert len(shown["name"]) <= 35
    assert len(shown["description"]) <= 140
    for command in MANIFEST["features"]["slash_commands"]:
        assert 2 <= len(command["command"]) <= 32
        assert len(command["description"]) <= 2000
        assert "url" not in command


@pytest.mark.parametrize("missing", SCOPES)
def test_doctor_names_each_missing_scope_and_says_reinstall(missing: str) -> None:
    api = FakeSlackApi()
    api.headers = {"X-OAuth-Scopes": ",".join(scope for scope in SCOPES if scope != missing)}

    [scopes] = [f for f in examine(api, "xapp-1", channel="C0MESH", approvers=()) if "scopes" in f.check_id]

    assert scopes.verdict is Verdict.NOT_OK
    assert missing in scopes.summary
    assert "reinstall" in scopes.hint
