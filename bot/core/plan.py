"""What an approval is bound to: numbered steps, two roots, one state of the secret, one digest.

Building a plan from a snapshot is `planning`; carrying it out is `flow.advance`.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.certificates import Certificate, read_bundle
from bot.core.ids import ClusterUid, Fingerprint, MeshName, PlanDigest
from bot.core.mesh import ObjectRef, SecretState
from bot.core.wording import span

FORMAT = 1
"""Of the canonical document; a change of meaning makes it 2, and old approvals void."""


class Mode(StrEnum):
    """What kind of rotation it is."""

    EXTEND = "extend"
    """Same key, same subject, new validity: the classic transition."""


class StepKind(StrEnum):
    """What a step does; its catalogue is `steps`."""

    BACK_UP = "back_up"
    WRITE_ROOT = "write_root"
    RELOAD_CA = "reload_ca"
    AWAIT_SECRETS = "await_secrets"
    AWAIT_WEBHOOKS = "await_webhooks"
    RESTART = "restart"
    AWAIT_PROXIES = "await_proxies"
    VERIFY = "verify"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One numbered step of a plan."""

    id: str
    """Unique in its plan: `reload-ca`, `restart-istio-galley`."""
    kind: StepKind
    title: str
    target: ObjectRef | None = None
    """What it writes or restarts; None when it only waits."""
    why: str = ""
    felt: str = ""
    """What restarts and what people may notice; empty when nothing."""
    undo: str = ""
    takes: timedelta
    """An estimate, from the mesh's size."""
    deadline: timedelta
    """Passing it pauses the rotation and asks."""

    @property
    def changes_trust(self) -> bool:
        """Whether the CA secret itself is written."""
        return self.kind is StepKind.WRITE_ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class RootFacts:
    """A root certificate in a plan: enough to show, compare and find it again."""

    fingerprint: Fingerprint
    subject: str
    serial: int
    not_before: datetime
    not_after: datetime
    pem: bytes
    """The certificate alone, one PEM block."""

    @property
    def certificate(self) -> Certificate:
        """The certificate itself."""
        return read_bundle(self.pem).certificates[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlastRadius:
    """How much a rotation touches; counts at planning time, not part of the digest."""

    secrets: int
    proxies: int
    namespaces: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that will be done, to what, and how it is undone."""

    mode: Mode
    mesh: MeshName
    namespace: str
    cluster_uid: ClusterUid
    authority: str
    """What signs this mesh, for people: `Citadel 1.4.10, self-signed root`."""
    secret: SecretState
    """The CA secret as it must be when this starts."""
    secret_ref: ObjectRef
    backup_ref: ObjectRef
    old_root: RootFacts
    new_root: RootFacts
    new_pem: bytes
    """`ca-cert.pem` as it will be: the new root, then what followed the old one and is no twin of it, byte
    for byte."""
    steps: tuple[Step, ...]
    undo_steps: tuple[Step, ...]
    blast_radius: BlastRadius
    notes: tuple[str, ...] = ()
    """What the approver should know: proxies that must be restarted by hand, and the like."""
    created_at: datetime

    @property
    def digest(self) -> PlanDigest:
        """SHA-256 over the canonical document (sorted JSON without spaces, UTF-8)."""
        text = json.dumps(self.document(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return PlanDigest(hashlib.sha256(text.encode()).hexdigest())

    @property
    def takes(self) -> timedelta:
        """The sum of the steps' estimates."""
        return sum((step.takes for step in self.steps), timedelta())

    @property
    def won(self) -> str:
        """`9 years 364 days longer`: what the rotation is for, which may be next to nothing."""
        longer = self.new_root.not_after - self.old_root.not_after
        return f"{span(longer)} {'longer' if longer >= timedelta() else 'shorter'}"

    def document(self) -> dict[str, object]:
        """What the digest covers: identity, both roots, the secret's bytes, every step and its target.

        Left out is what may change without changing what is done: counts, estimates, wording,
        resourceVersion.
        """
        return {
            "format": FORMAT,
            "mode": self.mode,
            "mesh": self.mesh,
            "namespace": self.namespace,
            "cluster_uid": self.cluster_uid,
            "authority": self.authority,
            "secret": {"uid": self.secret.uid, "digests": dict(self.secret.digests)},
            "old_root": self.old_root.fingerprint,
            "new_root": self.new_root.fingerprint,
            "new_pem": hashlib.sha256(self.new_pem).hexdigest(),
            "steps": [_step_document(step) for step in self.steps],
            "undo_steps": [_step_document(step) for step in self.undo_steps],
        }


def _step_document(step: Step) -> dict[str, object]:
    return {"id": step.id, "kind": step.kind, "target": str(step.target) if step.target else None}


def differences(approved: Plan, fresh: Plan, *, digest: PlanDigest) -> tuple[str, ...]:
    """What differs between what was approved and what would be done now, in words; empty when nothing.

    `digest`: what was shown and approved; the fresh plan's is compared with it and with nothing else.
    """
    if fresh.digest == digest:
        return ()
    before, after = approved.document(), fresh.document()
    return tuple(
        _difference(name, before[name], after[name]) for name in before if before[name] != after[name]
    ) or ("this version of Rootkeeper means something else by the plan that was shown",)


def _difference(name: str, before: object, after: object) -> str:
    match name:
        case "secret":
            return "the CA secret's content changed"
        case "cluster_uid":
            return f"this is another cluster ({before} was approved, this is {after})"
        case "steps" | "undo_steps":
            return "other steps would be needed now"
        case _:
            return f"{name.replace('_', ' ')} was {before}, now {after}"
