"""The Dockerfile's rules; that its commands work is for tests/scenario/test_install.py."""

import json
import re

from tests.dockerfile import DOCKERFILE, stages

BUILDER, FINAL = stages()


def test_what_is_installed_is_locked_by_hashes_and_built_elsewhere() -> None:
    *fetched, built = [command for command in BUILDER.all("RUN") if " pip install" in command]
    (made,) = [command for command in BUILDER.all("RUN") if " pip wheel" in command]

    assert len(fetched) == 2
    for command in fetched:
        assert re.search(r"--require-hashes -r requirements(-build)?\.lock", command)
        assert "--only-binary :all:" in command, "no compiler, and no code of a package runs at its install"
    assert "--no-deps --no-build-isolation" in made, "isolation would fetch the builder anew, without hashes"
    assert "--no-deps --no-index wheels/" in built


def test_the_final_stage_installs_nothing_and_can_install_nothing() -> None:
    commands = " ".join(FINAL.all("RUN"))

    assert not re.search(r"apt-get|apk |pip install|curl|wget|gcc", commands)
    assert "rm -rf /usr/local/bin/pip*" in commands
    assert "pip uninstall" in BUILDER.all("RUN")[-1]


def test_only_the_environment_comes_over_from_the_builder() -> None:
    assert FINAL.all("COPY") == ["--from=builder /opt/rootkeeper /opt/rootkeeper"]
    assert FINAL.all("ADD") == BUILDER.all("ADD") == []


def test_the_removed_paths_are_those_of_the_base_s_python() -> None:
    (version,) = set(re.findall(r"python:(3\.\d+)-slim", f"{BUILDER.base} {FINAL.base}"))

    assert set(re.findall(r"/usr/local/lib/python(3\.\d+)", " ".join(FINAL.all("RUN")))) == {version}


def test_both_stages_have_the_same_python_named_by_tag() -> None:
    assert BUILDER.base == FINAL.base
    assert re.fullmatch(r"python:3\.1[1-9]-slim-[a-z]+", FINAL.base)


def test_nobody_is_root_and_the_user_is_a_number_that_kubernetes_can_check() -> None:
    (user,) = FINAL.all("USER")

    assert user == "10001:10001"


def test_it_runs_on_a_read_only_file_system() -> None:
    environment = dict(pair.split("=", 1) for pair in " ".join(FINAL.all("ENV")).split())

    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert environment["HOME"] == "/tmp"
    assert FINAL.all("WORKDIR") == ["/var/lib/rootkeeper"]
    assert any("unchecked-hash" in command for command in BUILDER.all("RUN"))


def test_it_is_the_program() -> None:
    assert [json.loads(text) for text in FINAL.all("ENTRYPOINT")] == [["rootkeeper"]]
    assert [json.loads(text) for text in FINAL.all("CMD")] == [["run"]]


def test_only_what_the_image_is_made_of_is_sent_to_be_built() -> None:
    lines = (DOCKERFILE.parent / ".dockerignore").read_text().splitlines()
    kept = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {source for text in BUILDER.all("COPY") for source in text.split()[:-1]}

    assert "*" in lines
    assert kept == copied
