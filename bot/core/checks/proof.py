"""Rules that prove a candidate root before anything is written."""

from collections.abc import Iterator

from bot.core.certificates import Certificate, subject_key_id
from bot.core.checks.rule import Judged, Scene, not_ok, ok, unknown
from bot.core.keeping import keeping, why_unmanaged
from bot.core.leaves import why_refused
from bot.core.verifiers import why_not_a_signer, why_not_issued_by
from bot.core.wording import count


def candidate(scene: Scene) -> Judged | None:
    """Whether every verifier takes the candidate for the same signer, for longer."""
    new, old = scene.policy.candidate, scene.signer
    if new is None or old is None:
        return None
    reasons = tuple(_why_not_interchangeable(new, old, scene))
    if reasons:
        return not_ok("the new root would not do: " + "; ".join(reasons), offenders=reasons)
    return ok(f"the new root has the same key, subject and key id, and lives until {new.not_after:%Y-%m-%d}")


def _why_not_interchangeable(new: Certificate, old: Certificate, scene: Scene) -> Iterator[str]:
    if new.public_key_digest != old.public_key_digest:
        yield "its key is another"
    if new.subject_der != old.subject_der:
        yield "its subject is encoded differently"
    if subject_key_id(new) != subject_key_id(old):
        yield "its subject key id differs"
    if reason := why_not_a_signer(new) or why_not_issued_by(new, new, at=scene.now):
        yield f"it {reason}"
    if new.not_after <= old.not_after:
        yield f"it ends at {new.not_after:%Y-%m-%d}, not after the one in use"


def leaves(scene: Scene) -> Judged | None:
    """Whether every workload certificate that is accepted today is accepted under the candidate.

    Secrets that Citadel does not keep are left out, and what is broken already is told apart.
    """
    new, old = scene.policy.candidate, scene.signer
    if new is None or old is None:
        return None
    kept = keeping(scene.snapshot)
    tried = broken = 0
    lost: list[str] = []
    for secret in scene.snapshot.secrets:
        if why_unmanaged(secret, kept):
            continue
        if secret.leaf is None or why_refused(secret.leaf, old, seen=scene.snapshot):
            broken += 1
            continue
        tried += 1
        if reason := why_refused(secret.leaf, new, seen=scene.snapshot):
            lost.append(f"{secret.ref}: its certificate {reason}")
    if lost:
        return not_ok(f"{count(len(lost), 'workload certificate')} would be refused", offenders=tuple(lost))
    if tried == 0:
        return unknown("no workload certificate could be tried against the new root")
    already = f"; {broken:,} are broken already and are left out" if broken else ""
    return ok(f"{count(tried, 'workload certificate')} in use verify against the new root{already}")


def reverse(scene: Scene) -> Judged | None:
    """Whether a certificate that the candidate signs is accepted under every root of its key deployed now."""
    leaf = scene.policy.throw_away
    if leaf is None or scene.signer is None:
        return None
    kept = keeping(scene.snapshot)
    roots = {scene.signer: "the CA secret"}
    for secret in scene.snapshot.secrets:
        root = secret.root.first
        if (
            root
            and root.public_key_digest == scene.signer.public_key_digest
            and not why_unmanaged(secret, kept)
        ):
            roots.setdefault(root, str(secret.ref))
    lost = tuple(
        f"the root in {where}: the certificate {reason}"
        for root, where in roots.items()
        if (reason := why_not_issued_by(leaf, root, at=scene.now))
    )
    if lost:
        return not_ok("certificates that the new root signs would be refused", offenders=lost)
    return ok(
        "a throw-away certificate signed by the new root verifies against "
        f"{count(len(roots), 'deployed root')} of its key"
    )
