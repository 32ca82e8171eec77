"""Rules about the way to the cluster: what the API server can do, and what the bot may do there."""

from bot.core.checks.rule import Judged, Scene, not_ok, ok, unknown
from bot.core.components import component_of
from bot.core.kubernetes import release_of, why_no_rotation
from bot.core.mesh import ObjectRef, Part
from bot.core.wording import count


def can_rehearse(scene: Scene) -> Judged | None:
    """Whether the API server can go through a write without writing."""
    version = scene.snapshot.access.kubernetes
    if not _asked(scene) or not version:
        return None  # what could not be read is told by `env.read`
    why = why_no_rotation(version)
    if not why:
        return ok(f"Kubernetes {version} can rehearse a write")
    return not_ok(why) if release_of(version) else unknown(why)


def may_write(scene: Scene) -> Judged | None:
    """Whether the bot may write the CA secret, its backup and the Lease."""
    if not _asked(scene):
        return None
    denied = tuple(str(ref) for ref in scene.snapshot.access.unpatchable if ref.kind in ("Secret", "Lease"))
    if denied:
        return not_ok("the bot may not write what a rotation writes", offenders=denied)
    return ok("the bot may write the CA secret, its backup and the Lease")


def may_restart(scene: Scene) -> Judged | None:
    """Whether the bot may restart all that a rotation may have to."""
    needed = _restarted(scene)
    if not _asked(scene) or not needed:
        return None
    denied = tuple(str(ref) for ref in needed if ref in scene.snapshot.access.unpatchable)
    if denied:
        return not_ok(
            f"the bot may not restart {len(denied)} of {count(len(needed), 'workload')}", offenders=denied
        )
    return ok(f"the bot may restart {count(len(needed), 'workload')} of the control plane")


def _asked(scene: Scene) -> bool:
    """What could not be asked is told by `env.read`."""
    return Part.ACCESS in scene.snapshot.parts and not scene.snapshot.unread_in(Part.ACCESS)


def _restarted(scene: Scene) -> tuple[ObjectRef, ...]:
    """Citadel, what reads the root at start, and what stands behind a webhook that stays behind."""
    snapshot, citadel = scene.snapshot, scene.authority.workload
    parts = [w.ref for w in snapshot.workloads if w.ref.namespace == snapshot.namespace and component_of(w)]
    return tuple(dict.fromkeys(([citadel.ref] if citadel else []) + parts))
