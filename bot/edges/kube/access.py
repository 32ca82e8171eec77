"""Reads what a rotation needs beside objects: the server's version, and what the bot may patch."""

from collections.abc import Sequence

from bot.core.mesh import Access, ObjectRef, Part, Workload
from bot.core.names import BACKUP_SECRET, CA_SECRET
from bot.edges.kube.lease import LEASE_NAME
from bot.edges.kube.look import Look
from bot.edges.kube.targets import LEASES, RESTARTED, SECRETS, Target
from bot.errors import ClusterError

WRITTEN = (("Secret", SECRETS, CA_SECRET), ("Secret", SECRETS, BACKUP_SECRET), ("Lease", LEASES, LEASE_NAME))
"""Kind, resource and name of what every rotation writes."""


def read_access(look: Look, workloads: Sequence[Workload]) -> Access:
    """Read the part ACCESS; of workloads outside the control plane's namespace nothing is restarted."""
    version = look.one(Part.ACCESS, "the API server's version", look.client.version, absent="", unread="")
    try:
        denied = (*_unwritable(look), *_unrestartable(look, workloads))
    except ClusterError as fault:
        look.miss(Part.ACCESS, "what the bot may patch", fault.message)
        denied = ()
    return Access(kubernetes=version, unpatchable=denied)


def _unwritable(look: Look) -> list[ObjectRef]:
    written = [
        (ObjectRef(kind=kind, namespace=look.namespace, name=name), target) for kind, target, name in WRITTEN
    ]
    return [ref for ref, target in written if not _may_patch(look, target, ref)]


def _unrestartable(look: Look, workloads: Sequence[Workload]) -> list[ObjectRef]:
    own = [each.ref for each in workloads if each.ref.namespace == look.namespace]
    return [ref for kind in RESTARTED for ref in _of_kind(look, kind, [r for r in own if r.kind == kind])]


def _of_kind(look: Look, kind: str, refs: Sequence[ObjectRef]) -> list[ObjectRef]:
    """Those that may not be patched; asked by name only where not all may be."""
    target = RESTARTED[kind]
    if not refs or look.client.may("patch", target.within(look.namespace)):
        return []
    return [ref for ref in refs if not _may_patch(look, target, ref)]


def _may_patch(look: Look, target: Target, ref: ObjectRef) -> bool:
    return look.client.may("patch", target.within(ref.namespace).named(ref.name))
