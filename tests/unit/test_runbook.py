"""`docs/runbook.md` has one paragraph for everything that the bot may name, and for nothing else."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot import errors
from bot.core.checks.table import ALL, BASELINE, FORBIDDING_NOTE, INFORMING

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")

_WHOLE_ID = re.compile(r"doctor(\.[a-z_]+)+")
_PREFIX = re.compile(r"doctor(\.[a-z_]+)*\.")
_ANY_NAME = re.compile(r"[a-z]+(\.[a-z_]+)+|[A-Z][a-z]+([A-Z][a-z]+)+")
"""What looks like an id or a class."""


def sections(text: str) -> dict[str, list[str]]:
    """`### ` headings by the `## ` heading they stand under."""
    found: dict[str, list[str]] = {}
    under = ""
    for line in text.splitlines():
        if line.startswith("## "):
            under = line.removeprefix("## ").strip()
            found[under] = []
        elif line.startswith("### "):
            found[under].append(line.removeprefix("### ").strip())
    return found


def paragraph(heading: str) -> str:
    return RUNBOOK.split(f"\n### {heading}\n", 1)[1].split("\n### ", 1)[0].split("\n## ", 1)[0].strip()


def doctor_ids() -> set[str]:
    """From the code: whole ids, and what is put behind a prefix in the same file."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "bot").rglob("*.py")]
    return {one for tree in trees for one in (*_whole_ids(tree), *_prefixed_ids(tree))}


def _texts(tree: ast.AST) -> Iterator[str]:
    yield from (n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str))


def _whole_ids(tree: ast.AST) -> Iterator[str]:
    yield from (text for text in _texts(tree) if _WHOLE_ID.fullmatch(text))


def _prefixed_ids(tree: ast.AST) -> Iterator[str]:
    """`f"doctor.slack.{what}"`: every text given to a function that takes `what` first."""
    prefixes = {text for text in _texts(tree) if _PREFIX.fullmatch(text)}
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    makers = {f.name for f in functions if f.args.args and f.args.args[0].arg == "what"}
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in makers):
            continue
        first = call.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield from (f"{prefix}{first.value}" for prefix in prefixes)


def error_classes() -> set[str]:
    members = inspect.getmembers(errors, inspect.isclass)
    return {name for name, one in members if issubclass(one, errors.RootkeeperError)}


NAMED = {
    "Checks": {check.id for check in ALL},
    "Doctor": doctor_ids(),
    "Errors": error_classes(),
}


def test_what_the_doctor_names_is_found_in_the_code() -> None:
    assert {"doctor.settings", "doctor.database", "doctor.cluster.clock", "doctor.slack.app_token"} <= (
        doctor_ids()
    )
    assert not [one for one in doctor_ids() if one.endswith(".")]


@pytest.mark.parametrize("section", NAMED)
def test_everything_that_can_be_named_has_one_heading_and_nothing_else_has(section: str) -> None:
    headings = sections(RUNBOOK)[section]

    assert sorted(headings) == sorted(NAMED[section])


@pytest.mark.parametrize("heading", sorted(set().union(*NAMED.values())))
def test_every_heading_has_its_paragraph(heading: str) -> None:
    assert len(paragraph(heading)) > 60


def test_the_situations_come_first_and_are_named_in_words() -> None:
    found = sections(RUNBOOK)

    assert list(found) == ["What now?", *NAMED]
    assert len(set(found["What now?"])) == len(found["What now?"])
    assert not [heading for heading in found["What now?"] if _ANY_NAME.fullmatch(heading)]


def test_every_situation_that_is_pointed_at_is_there() -> None:
    situations = sections(RUNBOOK)["What now?"]
    pointed = re.findall(r"[Ss]ee \*([^*]+)\*", RUNBOOK)

    assert pointed
    assert [one for one in pointed if one not in situations] == []


def test_no_command_deletes_the_ca_secret() -> None:
    commands = [line for line in RUNBOOK.splitlines() if line.startswith("    ")]

    assert not [
        one for one in commands if "delete" in one and ("istio-ca-secret" in one or "rootkeeper" in one)
    ]


def test_what_forbids_a_rotation_is_said_as_it_is() -> None:
    _, _, said = RUNBOOK.partition("\nEvery finding of `check`")
    said = said.split("\n")[0]

    def named_after(words: str) -> set[str]:
        return set(re.findall(r"`([a-z]+\.[a-z_]+)`", said.split(words, 1)[1].split(". ", 1)[0]))

    assert named_after("Never forbidding: ") == {check.id for check in INFORMING}
    assert named_after("Forbidding although it is a note: ") == {FORBIDDING_NOTE.id}
    assert named_after("What holds which root already ") == {check.id for check in BASELINE}
