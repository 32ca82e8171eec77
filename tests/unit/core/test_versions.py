"""Version cliffs of facts/istio.md, 1.2 and 6.3, side by side; what has no version is asked in hardcases."""

import pytest

from bot.core import versions

GATES = {
    "1.0.0": "no load, no rotator, loses key",
    "1.0.7": "no load, no rotator, loses key",
    "1.0.8": "loads, no rotator",
    "1.0.9": "loads, no rotator",
    "1.1.0": "no load, no rotator, loses key",
    "1.1.7": "no load, no rotator, loses key",
    "1.1.8": "loads, no rotator",
    "1.1.17": "loads, no rotator",
    "1.2.8": "loads, no rotator",
    "1.2.9": "loads, rotator, renames",
    "1.2.10": "loads, rotator, renames",
    "1.3.0": "loads, no rotator, deaf galley",
    "1.3.3": "loads, no rotator, deaf galley",
    "1.3.4": "loads, no rotator",
    "1.3.5": "loads, rotator, renames",
    "1.3.6": "loads, rotator, renames",
    "1.3.7": "loads, rotator",
    "1.4.0": "loads, rotator, renames",
    "1.4.2": "loads, rotator, renames",
    "1.4.3": "loads, rotator",
    "1.4.10": "loads, rotator",
    "1.5.0": "loads, rotator",
    "1.10.0": "loads, rotator",
}


def gates(version: str) -> str:
    said = [
        "loads" if versions.sidecar_loads_new_roots(version) else "no load",
        "rotator" if versions.citadel_has_rotator(version) else "no rotator",
        "renames" if versions.citadel_rotator_renames(version) else "",
        "loses key" if versions.citadel_may_lose_its_key(version) else "",
        "deaf galley" if versions.galley_keeps_its_serving_certificate(version) else "",
    ]
    return ", ".join(part for part in said if part)


@pytest.mark.parametrize("version", GATES)
def test_every_version_cliff_is_where_the_tags_put_it(version: str) -> None:
    assert gates(version) == GATES[version]


@pytest.mark.parametrize("version", ["", "latest", "x.y.z"])
def test_nothing_is_held_against_a_version_that_is_none(version: str) -> None:
    assert versions.parse(version) is None
    assert not versions.citadel_rotator_renames(version)
    assert not versions.galley_keeps_its_serving_certificate(version)
