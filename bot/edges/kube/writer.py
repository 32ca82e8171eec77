"""ClusterWriter over the Kubernetes API: the few effects of a rotation, each conditional and repeatable.

Everything is a patch of something that exists; there is no delete and no create in this edge. A
write without an answer is settled by looking: the live bytes say what happened.
"""

import base64
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import msgspec

from bot.core.ids import RotationId
from bot.core.mesh import ObjectRef, SecretState
from bot.core.names import BACKUP_SECRET, CA_SECRET, ROOT_KEY
from bot.edges.kube import convert
from bot.edges.kube.backup import backed_up, missing_entries, pruned_entries
from bot.edges.kube.client import KubeClient, PatchKind
from bot.edges.kube.connection import Json
from bot.edges.kube.convert_pods import RESTARTED_AT
from bot.edges.kube.lease import LEASE_NAME, held_by_other, spec_of_holder
from bot.edges.kube.targets import LEASES, RESTARTED, SECRETS, Target
from bot.edges.kube.wire import LEASE, NAMED, WHOLE_SECRET, Stored, WholeSecret
from bot.errors import ClusterConflict, ClusterError, ClusterRefused, ObjectAbsent, OutcomeUnknown

ROTATION_ANNOTATION = "rootkeeper.dev/rotation"

ATTEMPTS = 4
"""The first and three more, each after a new look."""


T = TypeVar("T")
S = TypeVar("S", bound=Stored)


class KubeWriter:
    """One mesh's cluster, for writing. Implements `flow.ports.ClusterWriter`."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self._ca_secret = SECRETS.within(namespace).named(CA_SECRET)
        self._backup = SECRETS.within(namespace).named(BACKUP_SECRET)
        self._lease = LEASES.within(namespace).named(LEASE_NAME)

    def replace_root(
        self, pem: bytes, *, expected: SecretState, rotation_id: RotationId, rehearse: bool
    ) -> SecretState:
        """Put `ca-cert.pem` in place; see the port."""
        wanted = expected.with_value(ROOT_KEY, pem)

        def once() -> SecretState:
            live = self._secret(self._ca_secret)
            state = convert.state_of(live)
            if state.same_data(wanted):
                return state
            _refuse_unfit(live, state, expected)
            body = _root_patch(live, pem, rotation_id)
            written = self._client.patch(self._ca_secret, body, WHOLE_SECRET, rehearse=rehearse)
            if rehearse:
                _refuse_stored(live, written)
            return _stored(convert.state_of(written), wanted)

        return _with_retries(once)

    def _secret(self, target: Target) -> WholeSecret:
        return self._client.get(target, WHOLE_SECRET)

    def _prepared(self, target: Target, decoder: msgspec.json.Decoder[S]) -> S:
        """Something of the bot's own, which it cannot make itself."""
        try:
            return self._client.get(target, decoder)
        except ObjectAbsent as fault:
            raise ObjectAbsent(fault.message, hint="Apply manifests/: they make it, empty.") from None

    def back_up(self, rotation_id: RotationId, *, expected: SecretState) -> SecretState:
        """Copy the CA secret into the backup Secret; see the port."""

        def once() -> SecretState:
            live, kept = self._secret(self._ca_secret), self._prepared(self._backup, WHOLE_SECRET)
            _refuse_changed(live, convert.state_of(live), expected)
            missing = missing_entries(rotation_id, live, kept)
            if missing:
                self._keep(rotation_id, kept, missing)
                kept = self._prepared(self._backup, WHOLE_SECRET)
            return _same_copy(backed_up(rotation_id, kept), expected)

        return _with_retries(once)

    def _keep(self, rotation_id: RotationId, kept: WholeSecret, missing: dict[str, str]) -> None:
        if kept.immutable:
            raise ClusterRefused(f"{self._backup} is immutable, so nothing can be backed up into it")
        dropped, annotations = pruned_entries(rotation_id, kept)
        data: Json = {**dict.fromkeys(dropped), **missing}
        body = _conditional(kept, {"annotations": annotations}) | {"data": data}
        self._client.patch(self._backup, body, WHOLE_SECRET)

    def backed_up_root(self, rotation_id: RotationId) -> bytes:
        """`ca-cert.pem` from a rotation's backup; see the port."""
        kept = self._prepared(self._backup, WHOLE_SECRET)
        encoded = (kept.data or {}).get(f"{rotation_id}.{ROOT_KEY}")
        value = convert.value_of(encoded) if encoded else None
        if not value:
            raise ObjectAbsent(f"{self._backup} holds no backup of rotation {rotation_id}")
        return value

    def restart(self, workload: ObjectRef, *, mark: str) -> None:
        """Roll a workload over; see the port."""
        resource = RESTARTED.get(workload.kind)
        if resource is None:
            raise ClusterRefused(f"a {workload.kind} cannot be restarted by its template")
        target = resource.within(workload.namespace).named(workload.name)
        body: Json = {"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: mark}}}}}
        # The same mark again is no change, so an unknown outcome is settled by repeating it.
        _with_retries(lambda: self._client.patch(target, body, NAMED, kind=PatchKind.STRATEGIC))

    def hold(self, holder: RotationId, *, now: datetime) -> None:
        """Take or renew the Lease; see the port."""

        def once() -> None:
            lease = self._prepared(self._lease, LEASE)
            other = held_by_other(lease.spec, holder, now=now)
            if other:
                raise _FinalConflict(ClusterConflict(f"{self._lease} is held by rotation {other}"))
            spec = spec_of_holder(lease.spec, holder, now=now)
            body: Json = {"metadata": {"resourceVersion": lease.metadata.resource_version}, "spec": spec}
            self._client.patch(self._lease, body, LEASE)

        _with_retries(once)

    def release(self, holder: RotationId) -> None:
        """Give the Lease back; see the port."""

        def once() -> None:
            lease = self._prepared(self._lease, LEASE)
            if lease.spec is None or lease.spec.holder_identity != holder:
                return
            meta = {"resourceVersion": lease.metadata.resource_version}
            body: Json = {"metadata": meta, "spec": {"holderIdentity": None, "renewTime": None}}
            self._client.patch(self._lease, body, LEASE)

        _with_retries(once)


class _FinalConflict(Exception):
    """A conflict that another look would not change."""

    def __init__(self, error: ClusterError) -> None:
        super().__init__(error.message)
        self.error = error


def _with_retries(once: Callable[[], T]) -> T:
    """Do it, and look again after a lost race or a write without an answer, as often as is sensible."""
    doubt: OutcomeUnknown | None = None
    last: ClusterError | None = None
    for _ in range(ATTEMPTS):
        try:
            return once()
        except _FinalConflict as final:
            raise final.error from None
        except OutcomeUnknown as fault:
            doubt = last = fault
        except ClusterConflict as fault:
            last = fault
        except ClusterError as fault:
            # After a write whose outcome is unknown, not being able to look leaves it unknown.
            raise (doubt or fault) from None
    raise last or AssertionError("no attempt was made")


def _refuse_unfit(live: WholeSecret, state: SecretState, expected: SecretState) -> None:
    _refuse_changed(live, state, expected)
    if live.immutable:
        raise ClusterRefused(
            f"Secret {live.metadata.name} is immutable: it cannot be changed in place",
            hint="Deleting it would let a restarting CA make a new one and end the mesh. Do not.",
        )


def _refuse_changed(live: WholeSecret, state: SecretState, expected: SecretState) -> None:
    if state.same_data(expected):
        return
    if state.uid != expected.uid:
        text = f"Secret {live.metadata.name} was deleted and made anew since it was looked at"
    else:
        names = convert.data_managers(live.metadata)
        by = f" by {names[-1]}" if names else ""
        text = (
            f"Secret {live.metadata.name} was changed{by} since it was looked at: {_changed(state, expected)}"
        )
    raise _FinalConflict(ClusterConflict(text))


def _changed(state: SecretState, expected: SecretState) -> str:
    """Which keys differ, by name."""
    return ", ".join(sorted({key for key, _ in set(state.digests) ^ set(expected.digests)}))


def _root_patch(live: WholeSecret, pem: bytes, rotation_id: RotationId) -> Json:
    data = {ROOT_KEY: base64.b64encode(pem).decode()}
    return _conditional(live, {"annotations": {ROTATION_ANNOTATION: rotation_id}}) | {"data": data}


def _refuse_stored(live: WholeSecret, rehearsed: WholeSecret) -> None:
    """A rehearsal leaves the resourceVersion as it was; a proxy that drops `dryRun` would not."""
    if rehearsed.metadata.resource_version != live.metadata.resource_version:
        raise ClusterRefused(
            f"Secret {live.metadata.name} was written by what was meant as a rehearsal",
            hint="Something between the bot and the API server drops `dryRun`. Look at the secret, then roll back.",
        )


def _conditional(live: WholeSecret, metadata: Json) -> Json:
    return {"metadata": {"resourceVersion": live.metadata.resource_version, **metadata}}


def _stored(state: SecretState, wanted: SecretState) -> SecretState:
    if not state.same_data(wanted):
        text = f"the server stored something else than was sent: {_changed(state, wanted)}"
        raise ClusterRefused(text, hint="A mutating admission webhook changes this Secret; ask its owner.")
    return state


def _same_copy(copy: SecretState, expected: SecretState) -> SecretState:
    if copy.digests != expected.digests:
        raise ClusterRefused(f"the backup differs from the CA secret: {_changed(copy, expected)}")
    return copy
