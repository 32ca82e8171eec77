"""What a Kubernetes of some version can do for a rotation, judged by the version that it tells.

Sources: Kubernetes' guide to deprecated APIs; kubernetes/kubernetes#63557 (1.11 refuses `dryRun`, older
ones overlook it and write) and #69644 (dry run is on by default since 1.13).
"""

import re

OLDEST_READ = (1, 11)
"""Everything that a look asks for is there since then."""

OLDEST_ROTATED = (1, 13)
"""Writes can be rehearsed since 1.13, and a Lease can be held since 1.12."""

READING_HINT = "Upgrade the cluster; nobody has tried Rootkeeper on one as old as this."
ROTATION_HINT = (
    "Upgrade the API server to Kubernetes 1.13 or later, or rotate by Istio's own procedure; "
    "checks, warnings and verification work from 1.11 on."
)

_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\D|$)")


def release_of(version: str) -> tuple[int, int] | None:
    """Major and minor of `v1.14.10-gke.36` or `v1.11.0+d4cacc0`; None when it is no version."""
    match = _VERSION.match(version)
    return (int(match[1]), int(match[2])) if match else None


def why_no_reading(version: str) -> str:
    """Why looks at this server cannot be relied on; empty when they can."""
    release = release_of(version)
    if release is None or release >= OLDEST_READ:
        return ""
    return f"Kubernetes {version} is older than 1.11"


def why_no_rotation(version: str) -> str:
    """Why nothing may be written through this server; empty when it may. Unknown is no."""
    release = release_of(version)
    if release is None:
        return (
            f"whether this API server can rehearse a write is unknown: its version is {version or 'not told'}"
        )
    if release < OLDEST_ROTATED:
        return f"Kubernetes {version} cannot rehearse a write (dry run, since 1.13), and nothing is written unrehearsed"
    return ""
