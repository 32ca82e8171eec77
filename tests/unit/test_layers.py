"""The report of the layers: nothing that did not run goes unsaid."""

from tests.layers import HERE, LAYERS, Outcome, faults_in_ci, layer_of, report


def outcome(layer: str, result: str, reason: str = "") -> Outcome:
    return Outcome(layer=layer, test=f"tests/{layer}/test_it.py::test_it", result=result, reason=reason)


ALL_RAN = [outcome(layer, "passed") for layer in LAYERS]


def test_a_test_belongs_to_the_layer_of_its_directory() -> None:
    assert layer_of(HERE / "unit" / "edges" / "test_logs.py") == "unit"
    assert layer_of(HERE / "real" / "test_rotation.py") == "real"
    assert layer_of(HERE / "testbed" / "bed.py") is None
    assert layer_of(HERE.parent / "bot" / "cli.py") is None


def test_a_layer_says_how_many_ran_and_what_it_skipped_and_why() -> None:
    outcomes = [outcome("scenario", "passed"), *[outcome("scenario", "skipped", "there is no Chromium")] * 2]

    lines = list(report(outcomes))

    assert "scenario      1 ran: 1 passed, 0 failed; 2 skipped" in lines
    assert any(line.endswith("skipped 2: there is no Chromium") for line in lines)


def test_a_layer_that_did_not_run_says_why() -> None:
    lines = list(report([outcome("real", "skipped", "there is no Go")]))

    assert "real         did not run: there is no Go" in lines
    assert "unit         did not run: no test of it was selected" in lines


def test_a_run_in_which_everything_ran_is_no_fault_in_ci() -> None:
    assert faults_in_ci(ALL_RAN) == []


def test_a_layer_that_did_not_run_is_a_fault_in_ci() -> None:
    assert faults_in_ci(ALL_RAN[:-1]) == ["the layer real did not run"]


def test_a_single_skipped_test_is_a_fault_in_ci() -> None:
    faults = faults_in_ci([*ALL_RAN, outcome("scenario", "skipped", "there is no Chromium")])

    assert faults == ["tests/scenario/test_it.py::test_it was skipped: there is no Chromium"]
