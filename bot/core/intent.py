"""Command text → Intent: what somebody typed after `/istio-root`, or what was probably meant."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from bot.core.ids import MeshName

MAX_REASON = 500
MIN_LIFETIME = timedelta(days=90)
"""Citadel's workload certificates live 90 days; a shorter root would die under them."""
MAX_LIFETIME = timedelta(days=20 * 365)

_DURATION = re.compile(r"^(\d{1,5})(d|y)$")
_QUOTED = re.compile(r'["\u201c-\u201e][^"\u201c-\u201e]*["\u201c\u201d]')
"""Double ones, of which phones make the curved; a single one is an apostrophe more often than a quote."""
_WORD = re.compile(rf"(?:reason=)?(?:{_QUOTED.pattern})(?!\S)|\S+", re.IGNORECASE)
"""What is between quotes is one word, and nothing in it is an option."""
_LIKE_AN_OPTION = re.compile(
    r"(?P<dashes>[-\u2010-\u2015\u2212]*)(?P<name>[a-z_][a-z_-]*)(?:(?P<sign>[=:])(?P<value>.*))?", re.DOTALL
)
"""Phones make one long dash of two."""
_AROUND = "`'()[]{}<>.,;!"
"""What people put around a word that they copy."""
_WITHIN = re.compile(r"lifetime(?=[=:]|\d)(?P<value>.*)", re.DOTALL)


class Verb(StrEnum):
    """The commands, in the order in which help lists them."""

    CHECK = "check"
    TRANSITION = "transition"
    VERIFY = "verify"
    STATUS = "status"
    HISTORY = "history"
    CANCEL = "cancel"
    HELP = "help"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What is wanted of which mesh."""

    verb: Verb
    mesh: MeshName
    lifetime: timedelta | None = None
    """Of the new root; None for the configured default."""
    reason: str = ""
    spelled_out: bool = False
    """A transition whose details were typed, so that no dialog is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotUnderstood:
    """Why not, and what was probably meant."""

    sentence: str


def read_command(text: str, *, meshes: Sequence[MeshName]) -> Intent | NotUnderstood:
    """Read what was typed: `verb [mesh] [lifetime=10y] [reason…]`.

    The mesh may be left out when there is exactly one; before a reason only if that is quoted. An option
    counts wherever it stands outside of quotes, and what only looks like one is asked about: taken for the
    reason, it would leave the default in its place.
    """
    words = _WORD.findall(text)
    if not words:
        return Intent(verb=Verb.HELP, mesh=meshes[0])
    verb = _verb(words[0])
    if isinstance(verb, NotUnderstood):
        return verb
    if verb is Verb.HELP:
        return Intent(verb=verb, mesh=meshes[0])
    return _with_mesh(verb, words[1:], meshes)


ALSO_CALLED = {"stop": Verb.CANCEL, "abort": Verb.CANCEL}
"""What people type in a hurry."""
ON_THE_CARD = ("approve", "reject", "end", "rollback", "roll", "undo", "wait", "keep")


def _verb(word: str) -> Verb | NotUnderstood:
    if word.lower() in tuple(Verb):
        return Verb(word.lower())
    if word.lower() in ON_THE_CARD:
        return NotUnderstood(sentence=f"`{word.lower()}` is a button on the rotation's card, not a command.")
    if word.lower() in ALSO_CALLED:
        return ALSO_CALLED[word.lower()]
    close = difflib.get_close_matches(word.lower(), list(Verb), n=1, cutoff=0.5)
    meant = f" Did you mean `{close[0]}`?" if close else ""
    return NotUnderstood(sentence=f"There is no command `{word[:40]}`.{meant}")


def _with_mesh(verb: Verb, words: list[str], meshes: Sequence[MeshName]) -> Intent | NotUnderstood:
    if words and words[0] in meshes:
        return _with_details(verb, MeshName(words[0]), words[1:])
    if verb is Verb.TRANSITION and words and len(meshes) == 1 and _is_detail(words[0]):
        return _with_details(verb, meshes[0], words)
    if verb is Verb.TRANSITION and words and _is_detail(words[0]):
        return NotUnderstood(sentence=f"Name the mesh first, one of: {', '.join(meshes)}.")
    if verb is Verb.TRANSITION and (misread := _meant_as_option(words, begins=True)):
        return misread
    if words:
        return _unknown_mesh(words[0], meshes, reason=verb is Verb.TRANSITION and len(words) > 1)
    if verb is Verb.STATUS or len(meshes) == 1:
        return Intent(verb=verb, mesh=meshes[0])
    return NotUnderstood(sentence=f"Which mesh? One of: {', '.join(meshes)}.")


def _is_detail(word: str) -> bool:
    """What no mesh is called.

    A bare word is always a mesh: taken for the beginning of a reason, a mistyped one would plan the
    rotation of another.
    """
    return word.lower().startswith(("lifetime=", "reason=")) or _QUOTED.fullmatch(word) is not None


def _unknown_mesh(word: str, meshes: Sequence[MeshName], *, reason: bool) -> NotUnderstood:
    close = difflib.get_close_matches(word, list(meshes), n=1, cutoff=0.5)
    meant = f" Did you mean `{close[0]}`?" if close else f" Known: {', '.join(meshes)}."
    order = " A reason comes after the mesh." if reason else ""
    return NotUnderstood(sentence=f"There is no mesh `{word[:40]}`.{meant}{order}")


def _with_details(verb: Verb, mesh: MeshName, words: list[str]) -> Intent | NotUnderstood:
    if verb is not Verb.TRANSITION:
        if words:
            return NotUnderstood(
                sentence=f"`{verb}` takes a mesh and nothing more; `{words[0][:40]}` is too much."
            )
        return Intent(verb=verb, mesh=mesh)
    lifetime: timedelta | None = None
    reason: list[str] = []
    for at, word in enumerate(words):
        name, sign, value = word.partition("=")
        option = name.lower() + sign
        if option == "lifetime=":
            read = read_lifetime(value)
            if isinstance(read, NotUnderstood):
                return read
            lifetime = read
        elif option == "reason=" and not reason:
            reason.append(value)
        elif misread := _meant_as_option(words[at:], begins=not reason):
            return misread
        else:
            reason.append(word)
    return Intent(
        verb=verb, mesh=mesh, lifetime=lifetime, reason=_joined(reason)[:MAX_REASON], spelled_out=bool(words)
    )


def _joined(words: list[str]) -> str:
    if len(words) == 1 and _QUOTED.fullmatch(words[0]):
        return words[0][1:-1]
    return " ".join(words)


IN_QUOTES = "What belongs to the reason goes into double quotes."


def _meant_as_option(words: list[str], *, begins: bool) -> NotUnderstood | None:
    """Whether the first of these words was meant as an option; `begins`: no word of the reason came before."""
    if not words or _QUOTED.fullmatch(words[0]):
        return None
    word = words[0].lower()
    within = _WITHIN.search(word)
    if within and not word.startswith("reason="):
        return _in_one_word(" ".join([within["value"], *words[1:3]]).lower())
    seen = _LIKE_AN_OPTION.fullmatch(word.strip(_AROUND))
    if seen is None:
        return _in_one_word(word) if begins and _DURATION.match(word) else None
    dashes, name, sign, value = seen["dashes"], seen["name"], seen["sign"], seen["value"] or ""
    following = " ".join(words[1:3]).lower().lstrip("=: ")
    if _like_lifetime(name) and (sign or dashes or following[:1].isdigit() or words[1:2] == ["="]):
        return _in_one_word(value or following)
    if dashes and (begins or sign or dashes.startswith("--")):
        return NotUnderstood(
            sentence=f"Options have no dashes here, as in `lifetime=10y`; `{words[0][:40]}` has. {IN_QUOTES}"
        )
    if _DURATION.match(value) or (begins and sign == "="):
        return NotUnderstood(
            sentence=f"There is no option `{name[:40]}{sign}`; there are `lifetime=` and `reason=`. {IN_QUOTES}"
        )
    return None


def _like_lifetime(name: str) -> bool:
    return bool(difflib.get_close_matches(name, ["lifetime"], cutoff=0.8))


def _in_one_word(value: str) -> NotUnderstood:
    """What was probably meant by `5 years`, or the usual lifetime."""
    found = re.match(r"\W*(\d{1,5})\W*([dy])", value)
    meant = f"{found[1]}{found[2]}" if found else "10y"
    return NotUnderstood(sentence=f"Write it in one word: `lifetime={meant}`. {IN_QUOTES}")


def read_lifetime(text: str) -> timedelta | NotUnderstood:
    """`10y` or `3650d`; a year is 365 days, as Istio counts."""
    match = _DURATION.match(text.strip().lower())
    if not match:
        return NotUnderstood(sentence=f"`{text[:40]}` is no lifetime: write `10y` or `3650d`.")
    lifetime = timedelta(days=int(match.group(1)) * (365 if match.group(2) == "y" else 1))
    if not MIN_LIFETIME <= lifetime <= MAX_LIFETIME:
        return NotUnderstood(
            sentence=f"A root may live {MIN_LIFETIME.days} days to {MAX_LIFETIME.days // 365} years; "
            f"`{text}` is outside that."
        )
    return lifetime
