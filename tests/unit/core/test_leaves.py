"""A certificate may be younger than the look that found it, and clocks differ a little: facts/istio.md, 1.2."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from bot.core.checks import table
from bot.core.checks.rule import Policy
from bot.core.findings import Verdict
from bot.core.issuing import CLOCK_SKEW
from bot.core.mesh import MeshSnapshot
from bot.core.verification import HolderVerdict, judge_proxies, judge_secrets, judge_served
from tests.unit.core.builders import (
    a_citadel,
    a_leaf,
    a_mesh,
    a_new_root,
    a_proxy,
    a_secret,
    a_served,
    loaded,
    said,
    the_root,
)
from tests.unit.hardcases.making import DAY, NOW

SECOND = timedelta(seconds=1)
FAST = timedelta(minutes=30)
"""A cluster's clock that is far ahead of the bot's."""


def issued(ahead: timedelta, *, skew: timedelta | None = timedelta()) -> MeshSnapshot:
    """A mesh in which everything has a leaf that begins so long after the look began."""
    leaf = a_leaf(since=NOW + ahead, until=NOW + 90 * DAY)
    return a_mesh(
        secrets=(a_secret(leaf=leaf),),
        proxies=(a_proxy(leaves=(loaded(leaf),)),),
        served=(a_served(leaf),),
        trust=None,
        workloads=(a_citadel(version="1.0.9"),),  # which writes none
        clock_skew=skew,
    )


JUDGES: dict[str, Callable[[MeshSnapshot], tuple[HolderVerdict, ...]]] = {
    "secret": lambda mesh: judge_secrets(mesh, the_root()),
    "proxy": lambda mesh: judge_proxies(mesh, the_root()),
    "served": lambda mesh: judge_served(mesh, the_root()),
}
BEGUN = {
    "issued while the look went on": issued(2 * timedelta(minutes=1)),
    "by a clock that is a little ahead": issued(timedelta(seconds=45), skew=timedelta(seconds=60)),
    "where no clock was told": issued(timedelta(seconds=45), skew=None),
    "at the end of the tolerance": issued(CLOCK_SKEW),
    "by a clock that is far ahead, which another check tells": issued(FAST + CLOCK_SKEW, skew=FAST),
    "a clock that is behind takes nothing away": issued(CLOCK_SKEW, skew=-FAST),
}
NOT_BEGUN = {
    "after the tolerance": issued(CLOCK_SKEW + SECOND),
    "after that of a clock far ahead": issued(FAST + CLOCK_SKEW + SECOND, skew=FAST),
}


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("case", BEGUN)
def test_a_certificate_that_was_just_issued_is_fine_wherever_it_is(judge: str, case: str) -> None:
    (judged,) = JUDGES[judge](BEGUN[case])

    assert (judged.verdict, judged.reason) == (Verdict.OK, "")


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("case", NOT_BEGUN)
def test_one_that_begins_later_is_refused_wherever_it_is(judge: str, case: str) -> None:
    (judged,) = JUDGES[judge](NOT_BEGUN[case])

    assert judged.verdict is Verdict.NOT_OK
    assert "is not valid before" in judged.reason


def test_one_that_was_just_issued_is_tried_against_a_new_root() -> None:
    tried = said(table.LEAVES, issued(timedelta(seconds=45)), policy=Policy(candidate=a_new_root()))

    assert tried is not None
    assert tried.summary == "1 workload certificate in use verify against the new root"
