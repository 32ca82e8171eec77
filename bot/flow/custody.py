"""Whether the CA secret is still in a rotation's hands: as it was planned upon, or as this rotation left it.

Anything else in it was written by somebody else, and then nothing is proved and nobody waits.
"""

from bot.core.mesh import MeshSnapshot, ObjectRef, Part, SecretState, Unread, Workload
from bot.core.names import ROOT_KEY
from bot.core.plan import Plan, StepKind
from bot.core.rotation import Rotation
from bot.errors import ClusterConflict, ClusterUnreachable, ObjectAbsent
from bot.flow.ports import MeshPorts

AUTHORITY = frozenset({Part.AUTHORITY})
CA_STEPS = (StepKind.BACK_UP, StepKind.WRITE_ROOT, StepKind.RELOAD_CA)
"""What must not be left half done: until these are over, the CA itself is between two roots."""


def secret_after(plan: Plan) -> SecretState:
    """The CA secret with the plan's new root in place."""
    return plan.secret.with_value(ROOT_KEY, plan.new_pem)


def state_in(snapshot: MeshSnapshot, plan: Plan) -> SecretState:
    """The CA secret's state; unread is worth another try, gone is not."""
    if snapshot.ca_secret is not None:
        return snapshot.ca_secret.state
    if unread := _unread(snapshot, plan.secret_ref.name):
        raise ClusterUnreachable(f"{unread.what} could not be read: {unread.reason}")
    raise ObjectAbsent(
        f"{plan.secret_ref} has vanished",
        hint="Do not restart Citadel: it would make a new CA. Restore the secret from "
        f"{plan.backup_ref} first.",
    )


def _unread(snapshot: MeshSnapshot, name: str) -> Unread | None:
    return next((u for u in snapshot.unread_in(Part.AUTHORITY) if name in u.what), None)


def why_not(live: SecretState, *allowed: SecretState) -> str | None:
    """Why the secret must be left alone; None when it is in one of the states that are allowed."""
    if any(live.same_data(state) for state in allowed):
        return None
    return "the CA secret was changed by somebody else meanwhile"


def undisturbed(snapshot: MeshSnapshot, plan: Plan, *, wanted: SecretState) -> None:
    """Raises ClusterConflict when somebody else wrote the CA secret, and as `state_in` does."""
    if why_not(state_in(snapshot, plan), wanted):
        raise ClusterConflict(f"{plan.secret_ref} was changed{by_whom(snapshot)} meanwhile")


def by_whom(snapshot: MeshSnapshot) -> str:
    """` by kubectl-edit`: who wrote the CA secret last, as far as Kubernetes knows."""
    managers = snapshot.ca_secret.managers if snapshot.ca_secret else ()
    return f" by {managers[-1]}" if managers else " by somebody else"


def old_root_of(rotation: Rotation, mesh: MeshPorts) -> bytes:
    """`ca-cert.pem` as it was before (PEM, to the byte), from the backup, and proved to be that.

    Raises:
        ObjectAbsent: there is no backup of this rotation.
        ClusterConflict: somebody wrote something else into it.
    """
    plan = rotation.plan
    pem = mesh.writer.backed_up_root(rotation.id)
    if not plan.secret.with_value(ROOT_KEY, pem).same_data(plan.secret):
        raise ClusterConflict(
            f"{plan.backup_ref} does not hold the old root any more: it was changed since the backup",
            hint=f"Put back what was there, from a backup of the cluster or of {plan.backup_ref}; then choose.",
        )
    return pem


def workload_of(snapshot: MeshSnapshot, ref: ObjectRef | None) -> Workload | None:
    """The control plane workload of that name; None when it was not listed."""
    return next((w for w in snapshot.workloads if w.ref == ref), None)


def surely_gone(snapshot: MeshSnapshot, ref: ObjectRef | None) -> None:
    """What was not listed is only gone when the list could be read; raises ClusterUnreachable otherwise."""
    if ref and (unread := _unread(snapshot, f"{ref.kind}s")):
        raise ClusterUnreachable(f"{unread.what} could not be read: {unread.reason}")
