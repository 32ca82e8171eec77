"""Istio's versions, as far as their behaviour differs in this stand-in."""

from datetime import timedelta

_UNKNOWN = (999, 0, 0)


def parse(version: str) -> tuple[int, int, int]:
    """The three numbers of a tag such as ``1.4.10`` or ``1.4.10-distroless``; newest if it has none."""
    parts = version.partition("-")[0].split(".")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        return _UNKNOWN
    return int(parts[0]), int(parts[1]), int(parts[2])


def older(version: str, than: str) -> bool:
    """Does ``version`` come before ``than``?"""
    return parse(version) < parse(than)


def has_rotator(version: str) -> bool:
    """Does this Citadel renew its own root (1.2.9, 1.3.5, 1.4.0)?"""
    numbers = parse(version)
    return numbers >= (1, 4, 0) or (1, 3, 5) <= numbers < (1, 4, 0) or (1, 2, 9) <= numbers < (1, 3, 0)


def rotator_keeps_subject(version: str) -> bool:
    """Does its rotator copy the old root's O (istio/istio#19644; 1.3.7, 1.4.3)?"""
    numbers = parse(version)
    return numbers >= (1, 4, 3) or (1, 3, 7) <= numbers < (1, 4, 0)


def root_lifetime(version: str) -> timedelta:
    """How long a root lives that this Citadel makes: ten years since 1.0.8 and 1.1.8."""
    return timedelta(days=365 if _is_early(version) else 3650)


def keeps_a_root_it_cannot_store(version: str) -> bool:
    """Does this Citadel go on with a CA that it could not write to its secret (before 1.0.8 and 1.1.8)?"""
    return _is_early(version)


def _is_early(version: str) -> bool:
    numbers = parse(version)
    return numbers < (1, 0, 8) or (1, 1, 0) <= numbers < (1, 1, 8)


def reloads(version: str) -> bool:
    """Does this sidecar notice changed files? 1.1.0 to 1.1.7 watch the files, not the directory."""
    return not (1, 1, 0) <= parse(version) < (1, 1, 8)
