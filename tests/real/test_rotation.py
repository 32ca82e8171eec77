"""The main job on real parts: a real Citadel's root, through a real API server, under live mTLS traffic.

The bot is `rootkeeper run` with the token of its own ServiceAccount and the shipped RBAC; only Slack
is a stand-in.
"""

import base64
import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from bot.sandbox.drive import NotSo, Story
from bot.sandbox.run import MESH, BotChild, bot_settings
from bot.sandbox.slack.messages import Message
from bot.sandbox.slack.running import RunningSlack, running_slack
from bot.sandbox.slack.workspace import ADA, GRACE
from tests.measuring import Measured, peak_memory
from tests.real.asking import loaded_roots
from tests.testbed.audit import AuditEvent
from tests.testbed.bed import TestBed
from tests.testbed.mesh import CitadelMesh

ROOT = Path(__file__).parents[2]
BOT = "system:serviceaccount:rootkeeper:rootkeeper"
BACKUP = "/api/v1/namespaces/istio-system/secrets/rootkeeper-backup"
PROPOSED_SECONDS = 60.0
ROTATED_SECONDS = 400.0
"""Citadel's resync alone is 60 s, and a busy machine is slower."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A bot in front of the real mesh, and the people."""

    slack: RunningSlack
    bot: BotChild
    story: Story
    mesh: CitadelMesh

    def propose(self) -> None:
        """Ada asks; afterwards the card is there."""
        self.slack.command(ADA, f"/istio-root transition {MESH} lifetime=10y the root ends soon")
        card = self.story.seen(_has_approve, what="the approval card", seconds=PROPOSED_SECONDS)
        self.story.card = card.ts

    def approve(self) -> None:
        """Grace approves."""
        self.slack.press(GRACE, "approve", ts=self.story.card)

    def waiting_for_secrets(self, *, seconds: float) -> Message:
        """Wait until the card shows the wait for Citadel, which is most of a rotation."""
        return self.story.seen(
            lambda m: m.ts == self.story.card and _waits(m), what="the card in its wait", seconds=seconds
        )

    def result(self) -> Message:
        """Wait for the end, which the whole channel hears."""
        try:
            return self.story.seen(
                lambda m: m.thread_ts == self.story.card and m.broadcast,
                what="the result",
                seconds=ROTATED_SECONDS,
            )
        except NotSo:
            card = next(m for m in self.slack.messages() if m.ts == self.story.card)
            raise AssertionError(f"{json.dumps(card.content.blocks)}\n{self.bot.said[-3000:]}") from None


def _has_approve(message: Message) -> bool:
    return any(
        element.get("action_id") == "approve"
        for block in message.content.all_blocks()
        for element in block.get("elements") or ()
    )


def _waits(message: Message) -> bool:
    return "every workload secret carries the root*: waiting" in json.dumps(message.content.blocks)


@pytest.fixture(scope="module")
def installed(bed: TestBed, mesh: CitadelMesh) -> CitadelMesh:
    """The shipped manifests, accepted by the server first in a dry run, then for good."""
    overlay = str(ROOT / "manifests" / "overlays" / "single")
    bed.kubectl("apply", "--filename", str(ROOT / "manifests" / "base" / "namespace.yaml"))
    bed.kubectl("apply", "--dry-run=server", "--kustomize", overlay)
    bed.kubectl("apply", "--kustomize", overlay)
    return mesh


@pytest.fixture
def stage(installed: CitadelMesh, bed: TestBed, tmp_path: Path) -> Iterator[Stage]:
    """A fresh bot with its own record."""
    with contextlib.ExitStack() as stack:
        slack = stack.enter_context(running_slack())
        kubeconfig = bed.kubeconfig_for("rootkeeper", "rootkeeper")
        settings = bot_settings(slack, kubeconfig, tmp_path) | {
            "ROOTKEEPER_MESHES": f"{MESH}=/istio-system",
            "ROOTKEEPER_POLL_INTERVAL": "1s",
        }
        bot = BotChild(environment=settings, log=tmp_path / "bot.log")
        stack.callback(bot.end)
        bot.start()
        slack.wait_for_connections(1, seconds=20)
        story = Story(slack=slack, mesh=MESH, say=print)
        yield Stage(slack=slack, bot=bot, story=story, mesh=installed)


@pytest.mark.timeout(600)
def test_a_real_root_is_extended_under_traffic_without_a_failed_request(
    stage: Stage, tmp_path: Path, measured: Measured
) -> None:
    mesh = stage.mesh
    before, old, leaves = mesh.ca_secret()["data"], mesh.root(), _leaves(mesh)

    with mesh.probe() as probe:
        stage.propose()
        began = time.monotonic()
        stage.approve()
        result = stage.result()
        took = time.monotonic() - began

    traffic = probe.result()
    assert stage.bot.process is not None
    measured("a real rotation, from the approval to its result", took, "s")
    measured("the bot's peak memory in it", peak_memory(stage.bot.process), "MiB")
    measured("requests of the proxies during it", traffic.total, "")
    after, new = mesh.ca_secret()["data"], mesh.root()
    assert "Rotation done" in result.content.text, result.content.text
    assert traffic.failed == 0, traffic.failures
    assert traffic.total > 500
    assert new != old
    assert {key: value for key, value in after.items() if key != "ca-cert.pem"} == {
        key: value for key, value in before.items() if key != "ca-cert.pem"
    }
    assert _same_subject_and_key(old, new)
    assert set(mesh.workload_roots().values()) == {new}
    shown = loaded_roots(mesh)
    assert len(shown) == 3
    assert all(roots == {_as_envoy_says(new)} for roots in shown.values()), shown
    assert _openssl_accepts(new, leaves, tmp_path / "new-root")
    assert _openssl_accepts(old, _leaves(mesh), tmp_path / "old-root")
    assert before in _backups(mesh)


@pytest.mark.timeout(120)
def test_verify_agrees_with_what_the_real_proxies_show(stage: Stage) -> None:
    stage.slack.command(GRACE, f"/istio-root verify {MESH}")

    report = stage.story.seen(
        lambda m: "holders have the root" in m.content.text, what="the verification", seconds=PROPOSED_SECONDS
    )

    assert "all " in report.content.text
    assert "fine" in report.content.text


@pytest.mark.timeout(600)
def test_killed_in_the_middle_of_the_wait_it_finishes_the_same_rotation_in_the_same_thread(
    stage: Stage,
) -> None:
    old = stage.mesh.root()

    with stage.mesh.probe() as probe:
        stage.propose()
        stage.approve()
        stage.waiting_for_secrets(seconds=120)
        stage.bot.end(kill=True)
        stage.bot.start()
        result = stage.result()

    replies = [m.content.text for m in stage.slack.messages() if m.thread_ts == stage.story.card]
    steps = [text for text in replies if " · step " in text]
    assert "Rotation done" in result.content.text
    assert probe.result().failed == 0, probe.result().failures
    assert stage.mesh.root() != old
    assert len(steps) == len(set(steps)), steps
    assert len([m for m in stage.slack.messages() if m.ts == stage.story.card]) == 1


def test_the_bot_neither_deleted_nor_created_a_secret(installed: CitadelMesh) -> None:
    done = [event for event in installed.bed.audit_events() if event.user == BOT]

    assert [e for e in done if e.resource == "secrets" and e.verb == "patch"]
    assert not [e for e in done if _is_forbidden(e)]


def _is_forbidden(event: AuditEvent) -> bool:
    return event.resource == "secrets" and event.verb in ("create", "delete", "deletecollection", "update")


def _same_subject_and_key(one: bytes, other: bytes) -> bool:
    first, second = x509.load_pem_x509_certificate(one), x509.load_pem_x509_certificate(other)
    return (
        first.subject.public_bytes() == second.subject.public_bytes()
        and first.public_key() == second.public_key()
    )


def _as_envoy_says(root: bytes) -> tuple[int, str]:
    certificate = x509.load_pem_x509_certificate(root)
    return certificate.serial_number, f"{certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}"


def _leaves(mesh: CitadelMesh) -> list[bytes]:
    secrets = mesh.bed.api().get("/api/v1/secrets?fieldSelector=type%3Distio.io%2Fkey-and-cert")["items"]
    return [base64.b64decode(secret["data"]["cert-chain.pem"]) for secret in secrets]


def _openssl_accepts(root: bytes, leaves: list[bytes], folder: Path) -> bool:
    """Whether `openssl verify`, which knows nothing of us, accepts every leaf under this root."""
    folder.mkdir()
    (folder / "root.pem").write_bytes(root)
    names = []
    for number, leaf in enumerate(leaves):
        (folder / f"{number}.pem").write_bytes(leaf)
        names.append(str(folder / f"{number}.pem"))
    command = ["openssl", "verify", "-CAfile", str(folder / "root.pem"), *names]
    return bool(names) and subprocess.run(command, check=False, capture_output=True).returncode == 0


def _backups(mesh: CitadelMesh) -> list[dict[str, str]]:
    """Each rotation's backup, as the CA secret's data was."""
    found: dict[str, dict[str, str]] = {}
    for key, value in mesh.bed.api().get(BACKUP).get("data", {}).items():
        rotation, _, name = key.partition(".")
        found.setdefault(rotation, {})[name] = value
    return list(found.values())
