"""The runbook's commands for restoring by hand, run as they stand there with the real kubectl."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.core.ids import RotationId
from tests.contract.cluster_benches import CITADEL, ca_of, state_of
from tests.real.contract_sides import ServerBench, server_bench
from tests.testbed.bed import TestBed

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook.md"
HEADING = "### Restoring by hand from the backup\n"
ONE = RotationId("1" * 32)
STEPS = {"list": 2, "look": 3, "write": 4, "load": 5}
NEEDS_A_CONTROLLER = "rollout status"


def commands(step: str) -> str:
    """The lines of code under one number of the list, with the rotation's id filled in."""
    section = RUNBOOK.read_text(encoding="utf-8").split(HEADING, 1)[1].split("\n### ", 1)[0]
    numbered = re.split(r"^(\d)\. ", section, flags=re.MULTILINE)
    text = numbered[numbered.index(str(STEPS[step])) + 1]
    lines = [line.strip() for line in text.splitlines() if line.startswith("       ")]
    assert lines, step
    kept = (line for line in lines if NEEDS_A_CONTROLLER not in line)
    return "\n".join(kept).replace("rotation=…", f"rotation={ONE}")


@dataclass(frozen=True)
class Shell:
    """Somebody with a kubeconfig."""

    bed: TestBed

    def run(self, *scripts: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.bed.binaries}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", "\n".join(scripts)],
            env={"PATH": path, "KUBECONFIG": str(self.bed.kubeconfig), "HOME": str(self.bed.data)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def bench(server: TestBed) -> Iterator[ServerBench]:
    """A mesh whose root was replaced, with its backup."""
    with server_bench(server) as bench:
        before = ca_of(bench)
        assert before.root.first is not None
        bench.writer.back_up(ONE, expected=before.state)
        pem = before.root.first.pem + b"\n"
        bench.writer.replace_root(pem, expected=before.state, rotation_id=ONE, rehearse=False)
        yield bench


def test_the_commands_put_the_old_root_back_and_restart_citadel(server: TestBed, bench: ServerBench) -> None:
    generation = bench.times_changed(CITADEL)
    kept = bench.backed_up()

    listed = Shell(server).run(commands("list"))
    ran = Shell(server).run(commands("look"), commands("write"), commands("load"))

    assert listed.stdout.strip() == ONE
    assert ran.returncode == 0, ran.stderr
    fingerprints = re.findall(r"[0-9a-f]{64}", ran.stdout)
    assert len(fingerprints) == 2, "the public keys, to be compared"
    assert len(set(fingerprints)) == 1
    assert dict(state_of(bench).digests) == dict(bench.writer.back_up(ONE, expected=state_of(bench)).digests)
    assert bench.backed_up() == kept
    assert bench.times_changed(CITADEL) == generation + 1


def test_a_write_since_the_look_makes_the_restore_fail(server: TestBed, bench: ServerBench) -> None:
    between = "kubectl -n istio-system annotate secret istio-ca-secret somebody/was=here"
    before = state_of(bench)

    ran = Shell(server).run(commands("look"), between, commands("write"), commands("load"))

    assert ran.returncode != 0
    assert "the object has been modified" in ran.stderr
    assert state_of(bench).same_data(before)


def test_a_wrong_id_is_seen_before_anything_is_written(server: TestBed, bench: ServerBench) -> None:
    wrong = commands("look").replace(ONE, "2" * 32)
    before = state_of(bench)

    ran = Shell(server).run(wrong, commands("write"))

    assert ran.returncode != 0
    assert re.search("unable to load certificate|Could not (read|find) certificate", ran.stderr)
    assert state_of(bench).same_data(before)
