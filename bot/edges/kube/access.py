"""Reads what a rotation needs beside objects: the server's version, and which workloads may be restarted."""

from collections.abc import Sequence

from bot.core.mesh import Access, ObjectRef, Part, Workload
from bot.edges.kube.look import Look
from bot.edges.kube.targets import RESTARTED
from bot.errors import ClusterError


def read_access(look: Look, workloads: Sequence[Workload]) -> Access:
    """Read the part ACCESS; of workloads outside the control plane's namespace nothing is restarted."""
    version = look.one(Part.ACCESS, "the API server's version", look.client.version, absent="", unread="")
    own = [each.ref for each in workloads if each.ref.namespace == look.namespace]
    denied = [ref for kind in RESTARTED for ref in _denied(look, kind, [r for r in own if r.kind == kind])]
    return Access(kubernetes=version, unrestartable=tuple(denied))


def _denied(look: Look, kind: str, refs: Sequence[ObjectRef]) -> list[ObjectRef]:
    """Those that may not be patched; by name only where not all may."""
    target = RESTARTED[kind].within(look.namespace)
    try:
        if not refs or look.client.may("patch", target):
            return []
        return [ref for ref in refs if not look.client.may("patch", target.named(ref.name))]
    except ClusterError as fault:
        look.miss(Part.ACCESS, f"which {kind}s may be restarted", fault.message)
        return []
