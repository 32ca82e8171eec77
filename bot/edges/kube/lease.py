"""Who holds the Lease that keeps a second bot out of one mesh, and until when.

Source: coordination.k8s.io/v1 LeaseSpec; times are MicroTime.
"""

from datetime import UTC, datetime, timedelta

from bot.core.ids import RotationId
from bot.edges.kube.connection import Json
from bot.edges.kube.convert import time_of
from bot.edges.kube.wire import LeaseSpec

LEASE_NAME = "rootkeeper"

DURATION = timedelta(minutes=15)
"""Longer than any step's longest silence; a crashed bot's rotation goes on under its own id anyway."""


def held_by_other(spec: LeaseSpec | None, holder: RotationId, *, now: datetime) -> str:
    """Who else holds it now; empty when nobody does, or the holder let it lapse."""
    if spec is None or not spec.holder_identity or spec.holder_identity == holder:
        return ""
    renewed = time_of(spec.renew_time)
    duration = timedelta(seconds=spec.lease_duration_seconds or DURATION.total_seconds())
    lapsed = renewed is None or now >= renewed + duration
    return "" if lapsed else spec.holder_identity


def spec_of_holder(spec: LeaseSpec | None, holder: RotationId, *, now: datetime) -> Json:
    """What to write to take or renew it."""
    stamp = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    renewed: Json = {
        "holderIdentity": holder,
        "renewTime": stamp,
        "leaseDurationSeconds": int(DURATION.total_seconds()),
    }
    if spec is not None and spec.holder_identity == holder:
        return renewed
    transitions = (spec.lease_transitions or 0) if spec else 0
    return renewed | {"acquireTime": stamp, "leaseTransitions": transitions + 1}
