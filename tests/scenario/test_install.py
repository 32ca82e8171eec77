"""The image's commands, run in a directory instead of a container: the program is there and answers."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.dockerfile import DOCKERFILE, stages

REPOSITORY = DOCKERFILE.parent
PLACE = "/opt/rootkeeper"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A directory with an empty build context, and this Python under the name that the image's has."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "build").mkdir()
    (tmp_path / "tools" / "python3").symlink_to(Path(sys.base_exec_prefix) / "bin" / "python3")
    return tmp_path


def run(command: str, *, within: Path) -> str:
    path = os.pathsep.join([str(within / "tools"), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euc", command.replace(PLACE, str(within / "environment"))],
        cwd=within / "build",
        env={**os.environ, "PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def copy(sources: list[str], *, within: Path) -> None:
    for name in sources:
        source, target = REPOSITORY / name, within / "build" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)


@pytest.mark.timeout(900)
def test_the_image_s_commands_give_a_program_that_answers_and_nothing_to_install_with(
    machine: Path,
) -> None:
    builder, _ = stages()

    for step in builder.instructions:
        if step.word == "COPY":
            copy(step.text.split()[:-1], within=machine)
        if step.word == "RUN":
            run(step.text, within=machine)

    # the sources are gone: what answers is what was installed
    shutil.rmtree(machine / "build" / "bot")
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    assert version in run(f"{PLACE}/bin/rootkeeper --version", within=machine)
    assert list((machine / "environment" / "lib").glob("*/site-packages/pip")) == []
