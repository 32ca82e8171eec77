"""Rules about the CA: its secret, its root, its key, its processes."""

import re
from datetime import timedelta

from cryptography import x509
from cryptography.x509.name import _ASN1Type as StringType
from cryptography.x509.oid import NameOID

from bot.core.authority import AuthorityKind, citadel_container
from bot.core.certificates import UNPARSABLE, Certificate, SigningPublicKey, kind_of_key, why_key_refused
from bot.core.checks.holders import nothing_at_stake
from bot.core.checks.rule import READ, Judged, Scene, not_ok, ok, skipped, unknown
from bot.core.components import ending_citadels, rollout, strange_citadels
from bot.core.findings import Severity
from bot.core.flags import from_elsewhere, text_flag, variable
from bot.core.mesh import CaSecret, Container, Part
from bot.core.names import CA_SECRET, PLUGGED_SECRET, ROOT_KEY
from bot.core.ownership import keepers
from bot.core.progress import Straggler
from bot.core.verifiers import why_not_a_signer, why_not_issued_by
from bot.core.versions import citadel_has_rotator, citadel_may_lose_its_key, citadel_rotator_renames
from bot.core.wording import count, span

CRITICAL_BELOW = timedelta(days=7)
WARNING_BELOW = timedelta(days=90)
"""Also a workload certificate's lifetime: below it, leaves outlive their root."""

LARGEST_SKEW = timedelta(minutes=2)
"""Between the bot's and the API server's clock; beyond it nothing is signed, because a new root could lie in
the future of those who check it."""

BEFORE_IT_IS_USED = "Ask for `/istio-root transition` before you switch mutual TLS on."

TOO_LONG = "See what else stands in it and take that out, the signing certificate first."

CA_SECRET_TYPE = "istio.io/ca-root"  # noqa: S105 - a type of secret, not a password

ROTATOR_PERCENT = 20
"""Istio's rotator acts in the last fifth of a root's life, where it is told nothing else."""

ROTATOR_INTERVAL = "CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL"
ROTATOR_PERCENTILE = "CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE"

USUAL_TRUST_DOMAIN = "cluster.local"

UNKNOWN_HASH = "an unknown hash"
REFUSED_HASHES = ("md5", "sha1", UNKNOWN_HASH)

_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,./:=?-]*")
"""What X.680 lets into a PrintableString."""


def recognised(scene: Scene) -> Judged:
    """Whether the kind of CA is one that can be rotated."""
    authority = scene.authority
    if authority.supported:
        return ok(f"{authority.title}: " + "; ".join(authority.evidence))
    summary = f"{authority.refusal} ({'; '.join(authority.evidence)})"
    if authority.kind is AuthorityKind.UNKNOWN:
        return unknown(summary, hint=authority.way)
    return not_ok(summary, hint=authority.way)


def single_source(scene: Scene) -> Judged | None:
    """Whether only one secret can be the CA's."""
    plugged = scene.snapshot.foreign.plugged_secret
    name = f"Secret {scene.snapshot.namespace}/{PLUGGED_SECRET}"
    if plugged is None:
        return unknown(f"whether {name} exists could not be read", hint=READ)
    if plugged and scene.authority.kind is AuthorityKind.CITADEL_SELF_SIGNED:
        return not_ok(f"{name} exists beside a self-signed Citadel", offenders=(name,))
    return None if plugged else ok(f"{name} does not exist; the CA has one source")


def present(scene: Scene) -> Judged | None:
    """Whether the CA secret is there."""
    secret = scene.snapshot.ca_secret
    if secret and scene.ca_secret is None:
        return skipped(f"{secret.ref} is there and unused: {scene.authority.title} signs from elsewhere")
    if secret:
        return ok(f"{secret.ref} is there (resourceVersion {secret.state.resource_version})")
    unread = [u for u in scene.snapshot.unread_in(Part.AUTHORITY) if CA_SECRET in u.what]
    if unread:
        summary = f"{unread[0].what} could not be read: {unread[0].reason}"
        return unknown(summary, offenders=(unread[0].what,), hint=READ)
    if scene.authority.kind is not AuthorityKind.CITADEL_SELF_SIGNED:
        return None
    return not_ok(f"Secret {scene.snapshot.namespace}/{CA_SECRET} does not exist")


def readable(scene: Scene) -> Judged | None:
    """Whether Citadel could read the secret's certificate, were it to start now."""
    secret = scene.ca_secret
    if secret is None:
        return None
    if not secret.root.read:
        return unknown(f"{ROOT_KEY} " + "; it ".join(secret.root.faults), hint=TOO_LONG)
    faults = [f"{secret.ref}: {fault}" for fault in secret.faults]
    if secret.root.faults:
        faults.append(f"{ROOT_KEY} " + "; it ".join(secret.root.faults))
    if faults:
        return not_ok("; ".join(faults))
    held = count(len(secret.root.certificates), "certificate")
    return ok(f"{ROOT_KEY} holds {held}, readable as Istio reads it")


def key_matches(scene: Scene) -> Judged | None:
    """Whether the private key is the signer's."""
    secret, signer = scene.ca_secret, scene.signer
    if secret is None or signer is None:
        return None
    if secret.key.fault:
        return not_ok(secret.key.fault, hint=secret.key.cure or None)
    if secret.key.public_key_digest == signer.public_key_digest:
        return ok(f"the private key ({secret.key.kind}) belongs to the signing certificate")
    return not_ok(_mismatch(secret))


def _mismatch(secret: CaSecret) -> str:
    for position, certificate in enumerate(secret.root.certificates[1:], start=2):
        if certificate.public_key_digest == secret.key.public_key_digest:
            return (
                f"the private key belongs to certificate {position} of {ROOT_KEY}, not 1: the CA cannot start"
            )
    return f"the private key belongs to no certificate in {ROOT_KEY}: the CA cannot start"


def is_ca(scene: Scene) -> Judged | None:
    """Whether verifiers accept what the signer signs, and whether it is its own issuer."""
    signer = scene.signer
    if signer is None:
        return None
    if reason := why_not_a_signer(signer):
        return not_ok(f"the signing certificate {reason}")
    own = why_not_issued_by(signer, signer, at=signer.not_before)
    if own:
        return not_ok(f"the signing certificate is not a self-signed root: it {own}")
    return ok("the signing certificate is a self-signed CA certificate")


def algorithm(scene: Scene) -> Judged | None:
    """Whether Go and Envoy accept its key and signature."""
    signer = scene.signer
    if signer is None:
        return None
    key, hash_name = _key(signer), _hash(signer)
    if key is None or why_key_refused(key):
        return not_ok(f"the root's key is {why_key_refused(key)}")
    if hash_name in REFUSED_HASHES:
        return not_ok(f"the root is signed with {hash_name}, which Go and Envoy refuse")
    if signer.serial <= 0:
        return not_ok(f"the root's serial number is {signer.serial}, which Go 1.23 and later refuse")
    return ok(f"{kind_of_key(key)}, {hash_name}")


def _key(signer: Certificate) -> SigningPublicKey | None:
    """The public key; None when it is of another kind than Envoy takes."""
    try:
        key = signer.parsed.public_key()
    except UNPARSABLE:
        return None
    return key if isinstance(key, SigningPublicKey) else None


def _hash(signer: Certificate) -> str:
    try:
        algorithm = signer.parsed.signature_hash_algorithm
    except UNPARSABLE:
        return UNKNOWN_HASH
    return algorithm.name if algorithm else UNKNOWN_HASH


def not_expired(scene: Scene) -> Judged | None:
    """Whether the root still lives at all."""
    signer = scene.signer
    if signer is None:
        return None
    if scene.now < signer.not_after:
        return ok(f"the root ends at {signer.not_after:%Y-%m-%d %H:%M:%S} UTC")
    return not_ok(
        f"the root expired {span(scene.now - signer.not_after)} ago, "
        f"at {signer.not_after:%Y-%m-%d %H:%M:%S} UTC; Citadel will not start again once it stops"
    )


def expiry(scene: Scene) -> Judged | None:
    """How long a living root still lives."""
    signer = scene.signer
    if signer is None or scene.now >= signer.not_after:
        return None
    remaining = signer.not_after - scene.now
    sentence = f"the root expires in {span(remaining)}, at {signer.not_after:%Y-%m-%d %H:%M:%S} UTC"
    if remaining < WARNING_BELOW and nothing_at_stake(scene.snapshot):
        return not_ok(f"{sentence}, and nothing needs it", severity=Severity.INFO, hint=BEFORE_IT_IS_USED)
    if remaining < WARNING_BELOW:
        return not_ok(
            sentence, severity=Severity.CRITICAL if remaining < CRITICAL_BELOW else Severity.WARNING
        )
    return ok(sentence)


def current(scene: Scene) -> Judged | None:
    """Whether the CA secret holds the root that is expected everywhere, and still the one that was left there."""
    signer, expected, left = scene.signer, scene.policy.expected, scene.policy.left
    if signer is None:
        return None
    if expected is not None and signer != expected:
        return not_ok(
            f"the CA signs with the root {signer.fingerprint[:16]}, not with {expected.fingerprint[:16]}"
        )
    if left is not None and _undoes(signer, left):
        return not_ok(
            f"the CA signs with the root {signer.fingerprint[:16]} that ends {signer.not_after:%Y-%m-%d}; the last "
            f"rotation left {left.fingerprint[:16]}, which lasts until {left.not_after:%Y-%m-%d}",
            hint="Something put an older root back. Find out what before it does so again, then ask for a transition.",
        )
    return ok(f"the CA signs with the root {signer.fingerprint[:16]}") if expected or left else None


def _undoes(signer: Certificate, left: Certificate) -> bool:
    """Whether the CA is the one that was rotated, with a root that ends sooner. Another key is another CA."""
    return signer.public_key_digest == left.public_key_digest and signer.not_after < left.not_after


def already_valid(scene: Scene) -> Judged | None:
    """Whether its validity has begun."""
    signer = scene.signer
    if signer is None:
        return None
    if signer.not_before > scene.now:
        return not_ok(
            f"the root is not valid before {signer.not_before:%Y-%m-%d %H:%M:%S} UTC, "
            f"{span(signer.not_before - scene.now)} from now (clock difference: {_skew(scene)})"
        )
    return ok(f"the root is valid since {signer.not_before:%Y-%m-%d %H:%M:%S} UTC")


def _skew(scene: Scene) -> str:
    skew = scene.snapshot.clock_skew
    return "unknown" if skew is None else f"{skew.total_seconds():.0f} s"


def others(scene: Scene) -> Judged | None:
    """What stands in ca-cert.pem behind the signer."""
    secret, signer = scene.ca_secret, scene.signer
    if secret is None or signer is None or len(secret.root.certificates) < 2:
        return None
    rest = secret.root.certificates[1:]
    listed = tuple(f"{c.subject} {c.fingerprint[:16]} until {c.not_after:%Y-%m-%d}" for c in rest)
    early = [c for c in rest if c.is_twin_of(signer) and c.not_after < signer.not_after]
    if early:
        ends = min(c.not_after for c in early)
        return not_ok(
            f"a certificate of the same key and subject that {'ended' if ends <= scene.now else 'ends'} "
            f"{ends:%Y-%m-%d} stands beside the root; Envoy may pick it. A rotation leaves it out",
            offenders=listed,
        )
    return ok(f"{count(len(rest), 'more trusted root')} behind the signer: " + ", ".join(listed))


def subject(scene: Scene) -> Judged | None:
    """Whether Istio's own rotator would keep the subject."""
    signer = scene.signer
    if signer is None:
        return None
    renamed = _renamed_to(scene)
    if renamed and _as_go_writes(renamed) != signer.subject_der:
        return not_ok(
            f"Citadel {scene.authority.version} renames {signer.subject or 'an empty subject'} to O={renamed} "
            "when it renews the root by itself",
            severity=Severity.WARNING,
        )
    if _as_rotator_writes(signer) == signer.subject_der:
        return ok(f"the subject is {signer.subject}")
    return not_ok(
        f"the subject is {signer.subject or 'empty'}; Istio's own rotator would keep only one O of it, "
        "as a PrintableString where that is possible"
    )


def _renamed_to(scene: Scene) -> str:
    """The trust domain, where this Citadel's rotator makes it the subject whatever that was; else empty."""
    container = _citadel(scene)
    if container is None or not citadel_rotator_renames(scene.authority.version):
        return ""
    return (text_flag(container, "trust-domain") or USUAL_TRUST_DOMAIN).replace("@", ".")


def _citadel(scene: Scene) -> Container | None:
    return citadel_container(scene.authority.workload) if scene.authority.workload else None


def _as_rotator_writes(signer: Certificate) -> bytes:
    """The subject that Go's encoder makes of the first O, which is all that the rotator keeps."""
    try:
        organizations = signer.parsed.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    except ValueError:
        return b""
    if not organizations:
        return b""
    return _as_go_writes(str(organizations[0].value))


def _as_go_writes(value: str) -> bytes:
    """The DER of a subject of one O."""
    kind = StringType.PrintableString if _PRINTABLE.fullmatch(value) else StringType.UTF8String
    kept = x509.NameAttribute(NameOID.ORGANIZATION_NAME, value, kind, _validate=False)
    return x509.Name([kept]).public_bytes()


def secret_fit(scene: Scene) -> Judged | None:
    """Whether the secret can be changed in place."""
    secret = scene.ca_secret
    if secret is None:
        return None
    if secret.immutable:
        return not_ok(
            f"{secret.ref} is immutable: it could only be deleted and made again, which can end the mesh",
            severity=Severity.WARNING,
            hint="Rootkeeper does not do that. Take the flag's origin away before the root's end.",
        )
    if secret.type != CA_SECRET_TYPE:
        return not_ok(
            f"{secret.ref} has type {secret.type or 'none'} instead of {CA_SECRET_TYPE}; it is kept"
        )
    return ok(f"{secret.ref} can be changed in place")


def owner(scene: Scene) -> Judged | None:
    """Whether a controller or a GitOps tool would put the old root back."""
    secret = scene.ca_secret
    if secret is None:
        return None
    owners = keepers(secret)
    if owners:
        return not_ok(
            f"{secret.ref} is kept by something else, which would put the old root back", offenders=owners
        )
    return ok("nothing else keeps the CA secret")


def healthy(scene: Scene) -> Judged | None:
    """Whether the CA's Deployment stands still and is whole."""
    workload = scene.authority.workload
    if workload is None:
        return None
    if not workload.settled:
        return not_ok(
            f"{workload.ref} is not settled: {workload.ready} of {workload.desired} ready, "
            f"{workload.updated} new, {workload.total} in all"
            + (f"; {workload.trouble}" if workload.trouble else "")
        )
    if workload.desired == 0:
        return not_ok(f"{workload.ref} is scaled to 0: nothing issues certificates")
    if workload.paused:
        return not_ok(
            f"{workload.ref} has its rollouts paused: a restart would not reach its pods",
            hint=f"Ask whoever paused them, then {rollout(workload.ref, 'resume')}.",
        )
    return ok(f"{workload.ref}: {workload.ready} of {workload.desired} ready, no rollout under way")


def pods(scene: Scene) -> Judged | None:
    """Whether no Citadel runs that is in nobody's counts."""
    strangers = strange_citadels(scene.snapshot)
    if strangers:
        return _beside(strangers, "beside the counted Citadel")
    return ok("no other pod signs as Citadel here") if scene.authority.workload else None


def ending_pods(scene: Scene) -> Judged | None:
    """Whether no Citadel is still ending; a rotation need not ask, because its restart waits for that."""
    ending = ending_citadels(scene.snapshot)
    return _beside(ending, "of Citadel that has not ended yet") if ending else None


def _beside(found: tuple[Straggler, ...], what: str) -> Judged:
    return not_ok(
        f"{count(len(found), 'pod')} {what} may sign with another root",
        offenders=tuple(f"{each.what}: {each.reason}" for each in found),
        hint=" · ".join(dict.fromkeys(each.cure for each in found)),
    )


def replicas(scene: Scene) -> Judged | None:
    """Whether more than one Citadel could disagree."""
    workload = scene.authority.workload
    if workload is None or (workload.desired <= 1 and not workload.autoscaled):
        return None
    what = "is autoscaled" if workload.autoscaled else f"has {workload.desired} replicas"
    return not_ok(
        f"{workload.ref} {what}; Citadels with different roots in memory overwrite each other's secrets"
    )


def version(scene: Scene) -> Judged | None:
    """Whether this Citadel's version is known and safe."""
    authority = scene.authority
    if not authority.supported:
        return None
    if not authority.version:
        return unknown("Citadel's version cannot be told from its image tag")
    if citadel_may_lose_its_key(authority.version):
        return not_ok(
            f"Citadel {authority.version} goes on with a throw-away CA when it cannot write its secret, "
            "and makes roots for one year only"
        )
    return ok(f"Citadel {authority.version} has no known fault that bears on its root")


def rotator(scene: Scene) -> Judged | None:
    """Whether this Citadel extends its root by itself."""
    signer, container = scene.signer, _citadel(scene)
    has = citadel_has_rotator(scene.authority.version)
    if signer is None or container is None or has is None:
        return None
    if not has:
        return skipped(f"Citadel {scene.authority.version} never extends its root by itself")
    if _rotator_disabled(container):
        return not_ok(
            f"this Citadel's own rotator is switched off ({ROTATOR_INTERVAL})",
            hint="Somebody wanted that: then the root has to be rotated by hand in time, as here.",
        )
    hidden = [each for each in (ROTATOR_INTERVAL, ROTATOR_PERCENTILE) if from_elsewhere(container, each)]
    if hidden:
        named = " and ".join(hidden)
        return unknown(
            f"whether this Citadel extends its root by itself cannot be told: {named} is set from elsewhere"
        )
    percent = _rotator_percent(container)
    if percent <= 0:
        return not_ok(f"this Citadel's own rotator never acts before the end ({ROTATOR_PERCENTILE})")
    due = signer.not_after - (signer.not_after - signer.not_before) * percent / 100
    if due <= scene.now:
        return not_ok(
            f"this Citadel should have extended its root by itself since {due:%Y-%m-%d}, and has not"
        )
    return ok(f"this Citadel extends its root by itself on {due:%Y-%m-%d}")


def _rotator_disabled(container: Container) -> bool:
    """Whether its interval is zero or less, in Go's way of writing durations: `0`, `0s`, `-1h`."""
    interval = variable(container, ROTATOR_INTERVAL).strip()
    return interval.startswith("-") or bool(interval and not re.search("[1-9]", interval))


def _rotator_percent(container: Container) -> int:
    """The share of a root's life that is left when it acts; Istio takes the usual one for what is no number."""
    given = variable(container, ROTATOR_PERCENTILE)
    return min(int(given), 100) if re.fullmatch(r"[+-]?[0-9]{1,9}", given) else ROTATOR_PERCENT


def clock(scene: Scene) -> Judged:
    """Whether the bot and the API server agree on the time."""
    skew = scene.snapshot.clock_skew
    if skew is None:
        return unknown(
            "the API server sent no date, so its clock could not be compared",
            hint="See whether a proxy between the bot and the API server takes the header Date away.",
        )
    text = f"{abs(skew.total_seconds()):.0f} s"
    if abs(skew) > LARGEST_SKEW:
        return not_ok(f"the bot's clock and the API server's differ by {text}")
    return ok(f"the bot's clock and the API server's agree within {text}")
