"""Intent + MeshSnapshot → Plan, for the mode *extend* of a self-signed Citadel.

The candidate root comes in made, so that the same candidate and an unchanged mesh give the same
digest whenever the plan is built again.
"""

from dataclasses import dataclass
from datetime import datetime

from bot.core.authority import Authority
from bot.core.certificates import Certificate
from bot.core.components import component_of, restart_candidates
from bot.core.mesh import CaSecret, MeshSnapshot, ObjectRef, Workload
from bot.core.names import BACKUP_SECRET
from bot.core.plan import BlastRadius, Mode, Plan, RootFacts, Step, StepKind
from bot.core.steps import make_step, reissue_time


@dataclass(frozen=True, slots=True, kw_only=True)
class CitadelMesh:
    """A snapshot of which it is known that a self-signed Citadel signs it, with what that implies."""

    snapshot: MeshSnapshot
    authority: Authority
    secret: CaSecret
    root: Certificate
    citadel: Workload


def citadel_mesh(snapshot: MeshSnapshot, authority: Authority) -> CitadelMesh | None:
    """The snapshot with its needed parts present; None when one is missing."""
    secret = snapshot.ca_secret
    root = secret.root.first if secret else None
    if not authority.supported or secret is None or root is None or authority.workload is None:
        return None
    return CitadelMesh(
        snapshot=snapshot, authority=authority, secret=secret, root=root, citadel=authority.workload
    )


def plan_extension(
    mesh: CitadelMesh,
    candidate: Certificate,
    *,
    ca_cert_pem: bytes,
    notes: tuple[str, ...],
    at: datetime,
) -> Plan:
    """The steps that bring `candidate` everywhere, and those that take it back.

    `ca_cert_pem` is the secret's `ca-cert.pem` as it will be (see `replace_first`).
    """
    snapshot = mesh.snapshot
    backup = ObjectRef(kind="Secret", namespace=snapshot.namespace, name=BACKUP_SECRET)
    forward = _spread(mesh)
    return Plan(
        mode=Mode.EXTEND,
        mesh=snapshot.mesh,
        namespace=snapshot.namespace,
        cluster_uid=snapshot.cluster_uid,
        authority=mesh.authority.title,
        secret=mesh.secret.state,
        secret_ref=mesh.secret.ref,
        backup_ref=backup,
        old_root=root_facts(mesh.root),
        new_root=root_facts(candidate),
        new_pem=ca_cert_pem,
        steps=(make_step(StepKind.BACK_UP, target=backup), *forward),
        undo_steps=forward,
        blast_radius=_blast_radius(snapshot),
        notes=notes,
        created_at=at,
    )


def _spread(mesh: CitadelMesh) -> tuple[Step, ...]:
    """Write, reload, wait, restart, wait, verify: the same way forwards and back, with another root."""
    snapshot = mesh.snapshot
    return (
        make_step(StepKind.WRITE_ROOT, target=mesh.secret.ref),
        make_step(
            StepKind.RELOAD_CA,
            target=mesh.citadel.ref,
            why="Citadel reads its secret when it starts",
        ),
        make_step(StepKind.AWAIT_SECRETS, more_time=reissue_time(len(snapshot.secrets))),
        make_step(StepKind.AWAIT_WEBHOOKS),
        *(_restart(workload, reason) for workload, reason in restart_candidates(snapshot)),
        make_step(StepKind.AWAIT_PROXIES),
        make_step(StepKind.VERIFY),
    )


def _restart(workload: Workload, reason: str) -> Step:
    component = component_of(workload)
    hands = ""
    if workload.replaced_by_hand:
        hands = "; its update strategy is OnDelete, so somebody must delete its pods"
    elif workload.paused:
        hands = "; its rollouts are paused, so somebody must resume them"
    return make_step(
        StepKind.RESTART,
        target=workload.ref,
        why=reason + hands,
        felt=component.felt if component else "",
    )


def _blast_radius(snapshot: MeshSnapshot) -> BlastRadius:
    return BlastRadius(
        secrets=len(snapshot.secrets),
        proxies=sum(1 for proxy in snapshot.proxies if proxy.asked),
        namespaces=len({secret.ref.namespace for secret in snapshot.secrets}),
    )


def root_facts(certificate: Certificate) -> RootFacts:
    """A root as a plan records it."""
    return RootFacts(
        fingerprint=certificate.fingerprint,
        subject=certificate.subject,
        serial=certificate.serial,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        pem=certificate.pem,
    )


def replace_first(certificate: Certificate, bundle: tuple[Certificate, ...]) -> bytes:
    """`ca-cert.pem` with the root replaced wherever it stands: every other one follows, in order.

    A twin left behind would be distributed to every proxy with the new root, and Envoy may pick it on
    the day when it has expired.

    Each block is written as OpenSSL and Go write it, so its DER is unchanged to the byte.
    """
    others = (c for c in bundle[1:] if not c.is_twin_of(certificate))
    return b"".join(c.pem for c in (certificate, *others))
