"""Durations and counts in words, for findings and notes: the same everywhere."""

from datetime import timedelta


def span(duration: timedelta) -> str:
    """`12 days 3 h`, `3 h 20 min`, `45 s`: two units at most, never rounded up; negative is told as positive."""
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
