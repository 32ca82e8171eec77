"""Numbers in words: durations, counts, and verbs that agree with them."""

from datetime import timedelta

import pytest

from bot.core.findings import Tally
from bot.core.wording import agree, count, share, span


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.9, "0 s"),
        (1, "1 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h"),
        (3601, "1 h"),
        (12_000, "3 h 20 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 day"),
        (86_400 + 300, "1 day"),
        (90_000, "1 day 1 h"),
        (12 * 86_400 + 3 * 3600 + 59 * 60, "12 days 3 h"),
        (364 * 86_400 + 3600, "364 days 1 h"),
        (365 * 86_400, "1 year"),
        (400 * 86_400, "400 days"),
        (730 * 86_400 - 3600, "729 days 23 h"),
        (730 * 86_400, "2 years"),
        (3650 * 86_400 - 3600, "9 years 364 days"),
        (-3650 * 86_400, "10 years"),
        (-5, "5 s"),
        (-86_400 * 2 - 3600, "2 days 1 h"),
    ],
)
def test_a_duration_is_told_in_two_units_and_never_rounded_up(seconds: float, words: str) -> None:
    assert span(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("number", "noun", "words"),
    [
        (0, "secret", "0 secrets"),
        (1, "proxy", "1 proxy"),
        (2, "proxy", "2 proxies"),
        (2, "day", "2 days"),
        (2, "more mesh", "2 more meshes"),
        (10_000, "workload secret", "10,000 workload secrets"),
        (2, "control plane process", "2 control plane processes"),
    ],
)
def test_a_count_agrees_with_its_noun(number: int, noun: str, words: str) -> None:
    assert count(number, noun) == words


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [
        (0, 1, "0 of 1 webhook trusts the root"),
        (1, 1, "1 of 1 webhook trusts the root"),
        (1, 2, "1 of 2 webhooks trusts the root"),
        (2, 2, "2 of 2 webhooks trust the root"),
        (9_999, 10_000, "9,999 of 10,000 webhooks trust the root"),
    ],
)
def test_a_share_has_its_denominator(part: int, whole: int, words: str) -> None:
    assert share(part, whole, noun="webhook", verb="trust the root") == words


@pytest.mark.parametrize(
    ("number", "verb", "words"),
    [
        (0, "carry the root", "carry the root"),
        (1, "carry the root", "carries the root"),
        (2, "carry the root", "carry the root"),
        (1, "trust the root", "trusts the root"),
        (1, "have loaded the root", "has loaded the root"),
        (1, "are", "is"),
    ],
)
def test_a_verb_agrees_with_the_number_of_its_subject(number: int, verb: str, words: str) -> None:
    assert agree(number, verb) == words


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((33, 0, 0, 0), "proxies: 33 of 33 fine"),
        ((1, 2, 0, 0), "proxies: 1 of 3 fine, 2 not fine"),
        ((1_000, 2, 3, 4), "proxies: 1,000 of 1,009 fine, 2 not fine, 3 unknown, 4 skipped"),
        ((0, 0, 0, 2), "proxies: 0 of 2 fine, 2 skipped"),
        ((0, 0, 0, 0), "proxies: none seen"),
    ],
)
def test_a_tally_names_every_count_that_is_not_zero(counts: tuple[int, int, int, int], words: str) -> None:
    ok, not_ok, unknown, skipped = counts

    assert str(Tally(kind="proxies", ok=ok, not_ok=not_ok, unknown=unknown, skipped=skipped)) == words
