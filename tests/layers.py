"""Says at the end of a run what each layer did, which layers did not run and why, and what was measured.

The layers are the directories under tests/: unit, contract, scenario, real. With CI=true whatever
could not run is a failure: a green run there has run everything.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from tests.measuring import FIGURE

HERE = Path(__file__).parent

LAYERS = {
    "unit": "core, flow and edges on values and fakes",
    "contract": "one suite per port, against the fake and the real thing",
    "scenario": "whole stories through the sandbox",
    "real": "a real API server, Citadel and Envoys, with the RBAC as shipped",
}
"""Name → what it is, in the order of reporting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one test."""

    layer: str
    test: str
    result: str
    """`passed`, `failed` or `skipped`."""
    reason: str = ""
    """Why it was skipped."""


def layer_of(path: Path) -> str | None:
    """The layer of a test file; None for one outside the layers."""
    try:
        first = path.relative_to(HERE).parts[0]
    except ValueError:
        return None
    return first if first in LAYERS else None


def report(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """A line per layer, with the reasons of what it skipped."""
    seen = list(outcomes)
    for layer in LAYERS:
        mine = [outcome for outcome in seen if outcome.layer == layer]
        counts = Counter(outcome.result for outcome in mine)
        ran = counts["passed"] + counts["failed"]
        line = f"{layer:9} {ran:5} ran: {counts['passed']} passed, {counts['failed']} failed"
        yield f"{line}; {counts['skipped']} skipped" if ran else f"{layer:9}    did not run: {_why(mine)}"
        if ran:
            yield from (f"{'':16}skipped {n}: {reason}" for reason, n in _reasons(mine))


def _why(outcomes: list[Outcome]) -> str:
    return "; ".join(reason for reason, _ in _reasons(outcomes)) or "no test of it was selected"


def _reasons(outcomes: Iterable[Outcome]) -> list[tuple[str, int]]:
    return Counter(outcome.reason for outcome in outcomes if outcome.result == "skipped").most_common()


def faults_in_ci(outcomes: Iterable[Outcome]) -> list[str]:
    """What makes a whole run with CI=true a failure although no test failed."""
    seen = list(outcomes)
    ran = {outcome.layer for outcome in seen if outcome.result != "skipped"}
    absent = [f"the layer {layer} did not run" for layer in LAYERS if layer not in ran]
    skipped = [
        f"{outcome.test} was skipped: {outcome.reason}" for outcome in seen if outcome.result == "skipped"
    ]
    return absent + skipped


class LayerReport:
    """The pytest plugin."""

    def __init__(self, *, ci: bool) -> None:
        self._ci = ci
        self._outcomes: dict[str, Outcome] = {}
        self._figures: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Mark every test with its layer, so that `-m real` selects it."""
        for item in items:
            if layer := layer_of(item.path):
                item.add_marker(layer)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember the worst of set-up, call and tear-down, and what the call measured."""
        if report.when == "call":
            self._figures += [str(value) for name, value in report.user_properties if name == FIGURE]
        # By where it was collected: a suite may be run once more by another layer.
        layer = layer_of(HERE.parent / report.nodeid.partition("::")[0])
        if layer is None or (report.when != "call" and report.passed):
            return
        before = self._outcomes.get(report.nodeid)
        if before is None or report.failed:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            self._outcomes[report.nodeid] = Outcome(
                layer=layer,
                test=report.nodeid,
                result=report.outcome,
                reason=reason.removeprefix("Skipped: "),
            )

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail a run that ran less than everything where everything must run."""
        if exitstatus == pytest.ExitCode.OK and self._faults(session.config):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        """Say it, before pytest's closing line."""
        terminalreporter.section("layers")
        for line in report(self._outcomes.values()):
            terminalreporter.write_line(line)
        for fault in self._faults(config):
            terminalreporter.write_line(f"CI: {fault}", red=True)
        if self._figures:
            terminalreporter.section("measured on the way")
        for figure in self._figures:
            terminalreporter.write_line(figure)

    def _faults(self, config: pytest.Config) -> list[str]:
        narrowed = config.option.keyword or config.option.markexpr or config.option.collectonly
        whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not narrowed
        return faults_in_ci(self._outcomes.values()) if self._ci and whole else []


def missing_tool(reason: str) -> NoReturn:
    """This machine lacks what the test needs: skipped with the reason, a failure with CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
