"""Istio versions: reading them from image names, and which version does what.

Source: facts gathered from the tags of istio/istio (#14540, #14545, #14546, #17995, #19644).
"""

import re

Version = tuple[int, int, int]

_TAG = re.compile(r"^v?(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?(?:[-.+_].*)?$")


def version_of_image(image: str) -> str:
    """`1.4.10` of `docker.io/istio/proxyv2:1.4.10-distroless`; empty for a digest or another tag."""
    name = image.partition("@")[0].rpartition("/")[2]
    match = _TAG.match(name.partition(":")[2])
    return "{}.{}.{}".format(*(group or "0" for group in match.groups())) if match else ""


def parse(version: str) -> Version | None:
    """The three numbers of `1.4.10`; None when it is no version."""
    match = _TAG.match(version)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def _between(version: Version, low: Version, high: Version) -> bool:
    return low <= version <= high


def sidecar_loads_new_roots(version: str) -> bool | None:
    """Whether an Envoy of this sidecar loads a changed root file by itself; None when unknown.

    1.1.0 to 1.1.7 lose their file watch when the kubelet swaps the mounted secret; Istio tells users
    of versions before 1.0.8 to upgrade or restart as well.
    """
    numbers = parse(version)
    if numbers is None:
        return None
    return numbers >= (1, 0, 8) and not _between(numbers, (1, 1, 0), (1, 1, 7))


def citadel_has_rotator(version: str) -> bool | None:
    """Whether this Citadel extends its own root in the last fifth of its life; None when unknown."""
    numbers = parse(version)
    if numbers is None:
        return None
    return (
        numbers >= (1, 4, 0)
        or _between(numbers, (1, 3, 5), (1, 3, 99))
        or _between(numbers, (1, 2, 9), (1, 2, 99))
    )


def citadel_publishes_its_root(version: str) -> bool | None:
    """Whether it writes the ConfigMap `istio-security` at every start (1.1 and later); None when unknown."""
    numbers = parse(version)
    return None if numbers is None else numbers >= (1, 1, 0)


def citadel_rotator_renames(version: str) -> bool:
    """Whether its rotator writes the trust domain as the subject, whatever the old one was (#19644)."""
    numbers = parse(version)
    return numbers is not None and (
        _between(numbers, (1, 2, 9), (1, 2, 10))
        or _between(numbers, (1, 3, 5), (1, 3, 6))
        or _between(numbers, (1, 4, 0), (1, 4, 2))
    )


def citadel_may_lose_its_key(version: str) -> bool:
    """Whether it signs on with a throw-away CA when it cannot write its secret (until 1.0.7, 1.1.0-1.1.7)."""
    numbers = parse(version)
    return numbers is not None and (numbers <= (1, 0, 7) or _between(numbers, (1, 1, 0), (1, 1, 7)))


def galley_keeps_its_serving_certificate(version: str) -> bool:
    """Whether Galley's webhook server never reloads its certificate (1.3.0 to 1.3.3, #17718)."""
    numbers = parse(version)
    return numbers is not None and _between(numbers, (1, 3, 0), (1, 3, 3))
