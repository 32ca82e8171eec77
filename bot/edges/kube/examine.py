"""What `rootkeeper doctor` asks about a cluster: is it there, may the bot do its work, is all prepared."""

from collections.abc import Iterable
from datetime import timedelta

from bot.core.checks.ca import LARGEST_SKEW
from bot.core.findings import Finding, Severity, Verdict
from bot.core.kubernetes import READING_HINT, ROTATION_HINT, release_of, why_no_reading, why_no_rotation
from bot.core.names import BACKUP_SECRET
from bot.edges.kube.client import KubeClient
from bot.edges.kube.control_plane import read_control_plane
from bot.edges.kube.lease import LEASE_NAME
from bot.edges.kube.look import Look
from bot.edges.kube.permissions import (
    Permission,
    lasting_permissions,
    needed_permissions,
    restart_permissions,
    unwanted_permissions,
)
from bot.edges.kube.reader import identify
from bot.edges.kube.targets import LEASES, SECRETS, Target
from bot.edges.kube.wire import LEASE, WHOLE_SECRET
from bot.errors import ClusterError, ObjectAbsent
from bot.flow.ports import Clock

REACHABLE = "doctor.cluster.reachable"
VERSION = "doctor.cluster.version"
PERMISSIONS = "doctor.cluster.permissions"
TOO_MUCH = "doctor.cluster.too_much"
CLOCK = "doctor.cluster.clock"
BACKUP = "doctor.cluster.backup"

_APPLY = "Apply manifests/ to this cluster again."


def examine(client: KubeClient, namespace: str, *, clock: Clock) -> tuple[Finding, ...]:
    """Examine one mesh's cluster; nothing is written. A cluster that does not answer has one finding."""
    try:
        uid, skew, _ = identify(client, clock)
        version = client.version()
    except ClusterError as fault:
        return (_broken(REACHABLE, fault.message, hint=fault.hint),)
    return (
        _fine(REACHABLE, f"Kubernetes {version} answers; cluster uid {uid}"),
        _version(version),
        _clock(skew),
        _permissions(client, namespace),
        _too_much(client, namespace),
        _prepared(client, namespace),
    )


def _version(version: str) -> Finding:
    """Whether so old an API server can be looked at, and whether a root can be rotated through it."""
    if why := why_no_reading(version):
        return _broken(VERSION, why, hint=READING_HINT)
    if release_of(version) is None:
        return _unknown(VERSION, why_no_rotation(version))
    if why := why_no_rotation(version):
        return Finding(
            check_id=VERSION,
            verdict=Verdict.NOT_OK,
            severity=Severity.WARNING,
            summary=f"{why}; it can be checked and verified, not rotated",
            hint=ROTATION_HINT,
        )
    return _fine(VERSION, f"Kubernetes {version} can do all that a rotation needs")


def _clock(skew: timedelta | None) -> Finding:
    if skew is None:
        return _unknown(CLOCK, "the API server sends no date, so the clocks cannot be compared")
    seconds = int(skew.total_seconds())
    if abs(skew) > LARGEST_SKEW:
        ahead = "ahead of" if seconds > 0 else "behind"
        hint = "Set the clocks by NTP: a root signed by a wrong clock is refused."
        return _broken(CLOCK, f"the API server's clock is {abs(seconds)} s {ahead} the bot's", hint=hint)
    return _fine(CLOCK, f"the API server's clock and the bot's differ by {abs(seconds)} s")


def _permissions(client: KubeClient, namespace: str) -> Finding:
    look = Look(client, namespace)
    plane = [each.ref for each in read_control_plane(look).workloads if each.ref.namespace == namespace]
    # What cannot be listed is missing among the rest; for its restarts the usual names stand in.
    wanted = lasting_permissions(namespace) + restart_permissions(plane)
    if look.unread or not plane:
        wanted = needed_permissions(namespace)
    allowed = _allowed(client, wanted)
    if isinstance(allowed, str):
        return _unknown(PERMISSIONS, allowed)
    missing = tuple(f"{each} ({each.why})" for each in wanted if each not in allowed)
    if missing:
        summary = f"{len(missing)} of {len(wanted)} permissions are missing"
        return _broken(PERMISSIONS, summary, hint=_APPLY, offenders=missing)
    return _fine(PERMISSIONS, f"all {len(wanted)} permissions are granted")


def _allowed(client: KubeClient, asked: Iterable[Permission]) -> frozenset[Permission] | str:
    """Those that are granted; a sentence instead when that cannot be asked."""
    try:
        return frozenset(each for each in asked if client.may(each.verb, each.target))
    except ClusterError as fault:
        return fault.message


def _too_much(client: KubeClient, namespace: str) -> Finding:
    unwanted = unwanted_permissions(namespace)
    allowed = _allowed(client, unwanted)
    if isinstance(allowed, str):
        return _unknown(TOO_MUCH, allowed)
    if allowed:
        return Finding(
            check_id=TOO_MUCH,
            verdict=Verdict.NOT_OK,
            severity=Severity.WARNING,
            summary="the bot may do what it never does and must not be able to do",
            hint="Give it the RBAC of manifests/ and nothing else.",
            offenders=tuple(f"{each} ({each.why})" for each in unwanted if each in allowed),
        )
    return _fine(TOO_MUCH, "the bot can neither delete nor create the CA's secret")


def _prepared(client: KubeClient, namespace: str) -> Finding:
    backup, lease = SECRETS.within(namespace).named(BACKUP_SECRET), LEASES.within(namespace).named(LEASE_NAME)
    try:
        faults = [fault for fault in (_backup_fault(client, backup), _lease_fault(client, lease)) if fault]
    except ClusterError as fault:
        return _unknown(BACKUP, fault.message)
    if faults:
        summary = "what the bot needs in the cluster and cannot make itself is not there"
        return _broken(BACKUP, summary, hint=_APPLY, offenders=tuple(faults))
    return _fine(BACKUP, f"Secret {BACKUP_SECRET} and Lease {LEASE_NAME} are in namespace {namespace}")


def _backup_fault(client: KubeClient, target: Target) -> str:
    try:
        immutable = client.get(target, WHOLE_SECRET).immutable
    except ObjectAbsent as fault:
        return fault.message
    return f"{target} is immutable" if immutable else ""


def _lease_fault(client: KubeClient, target: Target) -> str:
    try:
        client.get(target, LEASE)
    except ObjectAbsent as fault:
        return fault.message
    return ""


def _fine(check_id: str, summary: str) -> Finding:
    return Finding(check_id=check_id, verdict=Verdict.OK, severity=Severity.INFO, summary=summary)


def _unknown(check_id: str, summary: str) -> Finding:
    return Finding(check_id=check_id, verdict=Verdict.UNKNOWN, severity=Severity.WARNING, summary=summary)


def _broken(check_id: str, summary: str, *, hint: str, offenders: tuple[str, ...] = ()) -> Finding:
    return Finding(
        check_id=check_id,
        verdict=Verdict.NOT_OK,
        severity=Severity.CRITICAL,
        summary=summary,
        hint=hint,
        offenders=offenders,
    )
