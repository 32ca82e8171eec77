"""What is concluded from the version that an API server tells."""

import pytest

from bot.core.kubernetes import release_of, why_no_reading, why_no_rotation

RELEASES = {
    "upstream": ("v1.37.2", (1, 37)),
    "a managed one": ("v1.14.10-gke.36", (1, 14)),
    "OpenShift 3.11": ("v1.11.0+d4cacc0", (1, 11)),
    "a plus behind the minor": ("v1.21+", (1, 21)),
    "another major": ("v2.0.0", (2, 0)),
    "no version": ("custom", None),
    "nothing": ("", None),
}


@pytest.mark.parametrize(("version", "release"), RELEASES.values(), ids=RELEASES)
def test_the_release_is_read(version: str, release: tuple[int, int] | None) -> None:
    assert release_of(version) == release


@pytest.mark.parametrize(
    ("version", "reads", "rotates"),
    [
        ("v1.9.11", False, False),
        ("v1.10.13", False, False),
        ("v1.11.0", True, False),
        ("v1.12.10", True, False),
        ("v1.13.0", True, True),
        ("v1.37.2", True, True),
        ("v2.0.0", True, True),
        ("custom", True, False),
    ],
)
def test_an_old_server_is_looked_at_and_one_that_can_rehearse_is_written_through(
    version: str,
    reads: bool,  # noqa: FBT001
    rotates: bool,  # noqa: FBT001
) -> None:
    assert (why_no_reading(version) == "") is reads
    assert (why_no_rotation(version) == "") is rotates
