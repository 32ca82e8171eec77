"""What a look tells of a rotation of the same mesh that has begun and not ended.

What is behind may be behind because of it, and what would cure that by hand may work against it: a
restart of Citadel goes around the pause that somebody asked for, and waiting for it is in vain.
"""

from collections.abc import Sequence
from dataclasses import replace

from bot.core.checks.table import BASELINE, EXPIRY
from bot.core.findings import Finding, Verdict
from bot.core.progress import Straggler
from bot.core.rotation import Rotation, RotationState

BROUGHT_UP = frozenset(check.id for check in (*BASELINE, EXPIRY))
"""Checks of what a rotation brings up to date: the cures of the others hold with or without one."""

_SAID = {
    RotationState.RUNNING: "A rotation of this mesh is running. "
    "Its card says how far it is, and what waits for somebody",
    RotationState.PAUSED: "A rotation of this mesh is paused: decide on its card first. "
    "Until then, what it has not brought up stays behind",
    RotationState.ROLLING_BACK: "A rotation of this mesh is being rolled back. "
    "Its card says how far it is, and what waits for somebody",
}


def begun(rotations: Sequence[Rotation], mesh: str) -> Rotation | None:
    """The one of that mesh that a look should tell of, if there is one."""
    return next((one for one in rotations if one.mesh == mesh and one.state in _SAID), None)


def said_of(rotation: Rotation | None) -> str:
    """What is so and what to do about it first; empty without a rotation."""
    return _SAID[rotation.state] if rotation else ""


def beside(findings: Sequence[Finding], rotation: Rotation | None) -> tuple[Finding, ...]:
    """The same findings, with the rotation before every cure of what it brings up."""
    return tuple(
        replace(one, hint=_cure(one.hint, one.verdict, rotation)) if one.check_id in BROUGHT_UP else one
        for one in findings
    )


def behind_beside(stragglers: Sequence[Straggler], rotation: Rotation | None) -> tuple[Straggler, ...]:
    """The same stragglers, with the rotation before every cure."""
    return tuple(replace(one, cure=_cure(one.cure, one.verdict, rotation)) for one in stragglers)


def _cure(cure: str, verdict: str, rotation: Rotation | None) -> str:
    """What could not be read is read no sooner for the rotation: its cure stays."""
    if rotation is None or not cure or verdict != Verdict.NOT_OK:
        return cure
    if rotation.state is RotationState.PAUSED:
        return f"decide on the rotation's card first; what is behind after its end: {cure}"
    # Not every cure is the rotation's: no step of it restarts an old sidecar, and its card waits for that.
    return f"wait for the rotation that is under way; if its card names it, too: {cure}"
