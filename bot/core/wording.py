"""Durations, counts and foreign text in words, for every door: the same everywhere."""

import unicodedata
from datetime import timedelta

from bot.core.secrecy import without_secrets

_SINGULAR = {"have": "has", "are": "is", "carry": "carries"}
_BLANKS = dict.fromkeys(map(ord, "\u034f\u115f\u1160\u2800\u3164\uffa0"))
"""Letters and marks that show nothing; Unicode does not count them as format characters."""
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def visible(text: str) -> str:
    """One line of what can be seen: no control, format or direction characters, no terminal escapes.

    Without keys and tokens, too: it is the door of every text to every screen.
    """
    joined = " ".join(without_secrets(text).translate(_BLANKS).split())
    return "".join(c for c in joined if unicodedata.category(c) not in _HIDDEN)


def span(duration: timedelta) -> str:
    """`9 years 364 days`, `12 days 3 h`, `45 s`: two units at most, never rounded up; negative is told as positive.

    A year is 365 days, as Istio counts; one that is not whole is told in days, which can still be grasped.
    """
    years, over = divmod(abs(duration).days, 365)
    if years > 1 or (years == 1 and not over):
        said = count(years, "year")
        return f"{said} {count(over, 'day')}" if over else said
    seconds = int(abs(duration).total_seconds())
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [
        f"{days} day{'s' if days != 1 else ''}" if days else "",
        f"{hours} h" if hours else "",
        f"{minutes} min" if minutes else "",
        f"{seconds} s" if seconds or not (days or hours or minutes) else "",
    ]
    first = next(i for i, part in enumerate(parts) if part)
    return " ".join(part for part in parts[first : first + 2] if part)


def count(number: int, noun: str) -> str:
    """`1 proxy`, `12 proxies`, `0 secrets`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {_plural(noun)}"


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "sh", "ch", "x")) else "s")


def share(part: int, whole: int, *, noun: str, verb: str) -> str:
    """`2 of 3 webhooks carry the root`, `1 of 2 webhooks carries the root`, `0 of 1 webhook carries …`."""
    return f"{part:,} of {count(whole, noun)} {agree(1 if whole == 1 else part, verb)}"


def agree(number: int, verb: str) -> str:
    """The verb, given in the plural, as `number` of something wants it: `1 of 2 carries`, `2 of 2 carry`.

    Only the first word is bent, so that a phrase may be given whole.
    """
    if number != 1:
        return verb
    first, gap, rest = verb.partition(" ")
    return _SINGULAR.get(first, first + "s") + gap + rest
