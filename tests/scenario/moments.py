"""Moments of a rotation, as changes of the cluster's objects: when to strike, and what to meddle with."""

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from bot.core.progress import StepStatus
from bot.core.rotation import Rotation
from bot.sandbox.cluster.objects import Json, copy_of
from bot.sandbox.cluster.resources import DEPLOYMENTS, SECRETS, Resource
from bot.sandbox.cluster.standin import ClusterStandIn
from bot.sandbox.cluster.store import Change, Happened
from tests.scenario.room import Room

RESTARTED = "kubectl.kubernetes.io/restartedAt"
CA = "istio-system/istio-ca-secret"

Moment = Callable[[Change], bool]


def root_written(change: Change) -> bool:
    """`ca-cert.pem` is another: the write has happened, its answer has not been sent."""
    if change.resource is not SECRETS or change.value["metadata"]["name"] != "istio-ca-secret":
        return False
    return change.before is not None and _data(change.before) != _data(change.value)


def _data(secret: Json) -> Json:
    return dict(secret.get("data") or {})


def backed_up(change: Change) -> bool:
    """The backup Secret was filled."""
    return change.resource is SECRETS and change.value["metadata"]["name"] == "rootkeeper-backup"


def workload_renewed(change: Change) -> bool:
    """Citadel has re-issued some workload's secret: the wait for the rest has begun."""
    if change.resource is not SECRETS or change.value.get("type") != "istio.io/key-and-cert":
        return False
    return change.what is Happened.MODIFIED and bool(change.before) and _roots_differ(change)


def _roots_differ(change: Change) -> bool:
    before = _data(change.before or {}).get("root-cert.pem")
    return before != _data(change.value).get("root-cert.pem")


def restarted(name: str) -> Moment:
    """The Deployment got a new restart mark."""

    def fits(change: Change) -> bool:
        if change.resource is not DEPLOYMENTS or change.value["metadata"]["name"] != name:
            return False
        return change.before is not None and _mark(change.before) != _mark(change.value)

    return fits


def _mark(deployment: Json) -> str:
    template: Json = deployment["spec"]["template"]["metadata"]
    return str((template.get("annotations") or {}).get(RESTARTED, ""))


def change_secret(name: str, change: Callable[[Json], None]) -> Callable[[ClusterStandIn], None]:
    """Somebody else edits a secret of istio-system, past all rules."""

    def changed(cluster: ClusterStandIn) -> None:
        stored = cluster.store.get(SECRETS, f"istio-system/{name}")
        assert stored is not None
        value = copy_of(stored.value)
        change(value)
        cluster.store.put(SECRETS, value)

    return changed


def somebody_adds_a_key(value: Json) -> None:
    """Data that was not there when it was planned."""
    value["data"] = {**value["data"], "notes": base64.b64encode(b"by hand").decode()}


def remove(resource: Resource, key: str) -> Callable[[ClusterStandIn], None]:
    """An object is gone."""
    return lambda cluster: cluster.store.remove(resource, key)


def let_the_deadline_pass(room: Room) -> None:
    """The bot is down for so long that the step that is waited for is overdue when it comes back."""
    room.settled()
    room.bot.end()
    room.without_connection()
    room.time_passes(_overdue)
    room.start()


def _overdue(rotation: Rotation) -> Rotation:
    """As if the step that is waited for had been begun long ago."""
    step, state = rotation.current or (None, None)
    assert step is not None
    assert state is not None
    assert state.status in (StepStatus.ACTING, StepStatus.WAITING)
    long_ago = timedelta(hours=1)
    assert state.deadline_at is not None
    return rotation.with_step(replace(state, deadline_at=state.deadline_at - long_ago))
