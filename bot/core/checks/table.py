"""The table of checks, and the chains that ask them: ROUTINE, PREFLIGHT, VERIFICATION."""

from collections.abc import Sequence
from datetime import datetime

from bot.core.authority import recognise
from bot.core.checks import access, ca, holders, proof
from bot.core.checks.rule import READ, Check, Policy, Scene
from bot.core.findings import Finding, Severity, Verdict, worst_first
from bot.core.kubernetes import ROTATION_HINT
from bot.core.mesh import MeshSnapshot

NAMED = 5
"""How many offenders a note names."""

C, W, I = Severity.CRITICAL, Severity.WARNING, Severity.INFO  # noqa: E741 - columns of a table

RECOGNISED = Check(
    id="ca.recognised",
    title="The CA is of a kind that can be rotated",
    severity=W,
    hint="See the reason; Rootkeeper leaves such a mesh alone.",
    rule=ca.recognised,
)
SINGLE_SOURCE = Check(
    id="ca.single_source",
    title="The CA has one source",
    severity=W,
    hint="Decide which secret is the CA's. A `cacerts` that is mounted at the next restart changes the CA.",
    rule=ca.single_source,
)
PRESENT = Check(
    id="ca.present",
    title="The CA secret is there",
    severity=C,
    hint="Do not restart Citadel: it would make a new CA. Restore the secret from a backup first.",
    rule=ca.present,
)
READABLE = Check(
    id="ca.readable",
    title="The CA certificate can be read as Istio reads it",
    severity=C,
    hint="Citadel cannot start from this. Restore ca-cert.pem from a backup before anything restarts it.",
    rule=ca.readable,
)
KEY_MATCHES = Check(
    id="ca.key_matches",
    title="The private key belongs to the signing certificate",
    severity=C,
    hint="Citadel cannot start from this. Restore the secret from a backup, or put the matching certificate first.",
    rule=ca.key_matches,
)
IS_CA = Check(
    id="ca.is_ca",
    title="The signing certificate is a self-signed CA certificate",
    severity=C,
    hint="Such a root cannot be extended as it is; it needs a new root.",
    rule=ca.is_ca,
)
ALGORITHM = Check(
    id="ca.algorithm",
    title="Key and signature are accepted everywhere",
    severity=C,
    hint="Such a root cannot be extended as it is; it needs a new root.",
    rule=ca.algorithm,
)
NOT_EXPIRED = Check(
    id="ca.not_expired",
    title="The root has not expired",
    severity=C,
    hint="Do not restart Citadel. The root must be repaired offline from its key before anything else.",
    rule=ca.not_expired,
)
EXPIRY = Check(
    id="ca.expiry",
    title="The root lives long enough",
    severity=W,
    hint="Ask for `/istio-root transition`.",
    rule=ca.expiry,
)
ALREADY_VALID = Check(
    id="ca.already_valid",
    title="The root's validity has begun",
    severity=C,
    hint="Compare the clocks of the CA, the API server and the bot.",
    rule=ca.already_valid,
)
OTHERS = Check(
    id="ca.others",
    title="Other certificates beside the root do no harm",
    severity=W,
    hint="Rotate, or take it out of ca-cert.pem when nothing else is going on.",
    rule=ca.others,
)
SUBJECT = Check(
    id="ca.subject",
    title="Istio's own rotator keeps the subject",
    severity=I,
    hint="Rotate with Rootkeeper before Istio does it: Rootkeeper keeps the subject byte for byte.",
    rule=ca.subject,
)
SECRET_FIT = Check(
    id="ca.secret_fit",
    title="The CA secret can be changed in place",
    severity=I,
    hint="Nothing to do.",
    rule=ca.secret_fit,
)
OWNER = Check(
    id="ca.owner",
    title="Nothing else keeps the CA secret",
    severity=W,
    hint="Rotate through its owner, or take the secret out of the owner's care first.",
    rule=ca.owner,
)
HEALTHY = Check(
    id="ca.healthy",
    title="Citadel is whole and stands still",
    severity=W,
    hint="Let the rollout end, or mend the pods, then try again.",
    rule=ca.healthy,
)
PODS = Check(
    id="ca.pods",
    title="Every Citadel that runs is counted",
    severity=W,
    hint="Stop what is named.",
    rule=ca.pods,
)
ENDING = Check(
    id="ca.ending",
    title="No Citadel is still ending",
    severity=W,
    hint="Wait until it is gone.",
    rule=ca.ending_pods,
)
REPLICAS = Check(
    id="ca.replicas",
    title="One Citadel issues certificates",
    severity=I,
    hint="One replica is enough for Citadel; workloads do not need it every minute.",
    rule=ca.replicas,
)
VERSION = Check(
    id="ca.version",
    title="Citadel's version is known and safe",
    severity=W,
    hint="Upgrade the control plane to 1.0.8 / 1.1.8 or later, or use images with version tags.",
    rule=ca.version,
)
ROTATOR = Check(
    id="ca.rotator",
    title="Citadel extends its root by itself",
    severity=I,
    hint="Look at Citadel's log; a transition does not depend on it.",
    rule=ca.rotator,
)
CLOCK = Check(
    id="env.clock",
    title="The clocks agree",
    severity=I,
    hint="Mend the clock (NTP) of the bot's node or of the API server.",
    rule=ca.clock,
)
CURRENT = Check(
    id="ca.current",
    title="The CA signs with the root that should be everywhere",
    severity=C,
    hint="Somebody or something wrote the CA secret since. Find out who before going on.",
    rule=ca.current,
)
KUBERNETES = Check(
    id="env.kubernetes",
    title="The API server can rehearse a write",
    severity=W,
    hint=ROTATION_HINT,
    rule=access.can_rehearse,
)
WRITES = Check(
    id="env.writes",
    title="The bot may write what a rotation writes",
    severity=W,
    hint="Apply manifests/ to this cluster again; `rootkeeper doctor` names every missing permission.",
    rule=access.may_write,
)
RESTARTS = Check(
    id="env.restarts",
    title="The bot may restart what a rotation may have to",
    severity=W,
    hint="Add the names to resourceNames of Role rootkeeper-rotate (docs/operating.md), then ask again.",
    rule=access.may_restart,
)
EVERYTHING_READ = Check(
    id="env.read",
    title="Everything that was looked for could be read",
    severity=W,
    hint=READ,
    rule=holders.everything_read,
)
SECRETS = Check(
    id="ws.root",
    title="Every workload secret carries the root",
    severity=W,
    hint="Citadel re-issues at about 2.5 secrets a second after a minute; verify again.",
    rule=holders.secrets,
)
SECRETS_SKIPPED = Check(
    id="ws.skipped",
    title="Secrets that Citadel does not keep",
    severity=I,
    hint="",
    rule=holders.secrets_skipped,
)
SECRET_LEAVES = Check(
    id="ws.leaf_expiry",
    title="Every workload certificate is renewed in time",
    severity=W,
    hint="Look at Citadel's log: it renews each certificate in the middle of its life.",
    rule=holders.secret_leaves,
)
OUTLIVE = Check(
    id="ws.outlive",
    title="No workload certificate outlives the root",
    severity=I,
    hint="The root's end is what counts.",
    rule=holders.leaves_outlive_root,
)
TRUST = Check(
    id="cm.root",
    title="The trust config map carries the root",
    severity=W,
    hint="Citadel writes it when it starts.",
    rule=holders.trust,
)
WEBHOOKS = Check(
    id="webhook.cabundle",
    title="The API server trusts the mesh's webhooks",
    severity=W,
    hint="Restart the component behind the webhook; it writes its caBundle when it starts.",
    rule=holders.webhooks,
)
SERVED = Check(
    id="webhook.served",
    title="The mesh's webhooks show a certificate that is accepted",
    severity=W,
    hint="Restart the component behind the webhook; it may not have loaded its renewed certificate.",
    rule=holders.served,
)
SERVED_LEAVES = Check(
    id="webhook.leaf_expiry",
    title="The mesh's webhooks show a certificate that was renewed in time",
    severity=W,
    hint="Restart the component behind the webhook before its certificate ends.",
    rule=holders.served_leaves,
)
PROCESSES = Check(
    id="cp.root",
    title="The control plane's processes started with the root",
    severity=W,
    hint="Restart them before the old root ends.",
    rule=holders.processes,
)
ONE_PLACE = Check(
    id="cp.elsewhere",
    title="No control plane stands where no CA does",
    severity=W,
    hint="Remove what is left over. What is this mesh's is neither judged nor restarted: move it beside its CA.",
    rule=holders.in_one_place,
)
PROXIES = Check(
    id="dp.root",
    title="Every proxy has loaded the root",
    severity=W,
    hint="Give the kubelet and Envoy three minutes, then restart what is named.",
    rule=holders.proxies,
)
PROXY_LEAVES = Check(
    id="dp.leaf_expiry",
    title="Every proxy has loaded a certificate that was renewed in time",
    severity=W,
    hint="Restart what is named before its certificate ends.",
    rule=holders.proxy_leaves,
)
SIDECARS = Check(
    id="dp.version",
    title="Every sidecar loads a new root by itself",
    severity=I,
    hint="A rotation waits for them: restart these workloads when its card names them, or upgrade them before.",
    rule=holders.sidecar_versions,
)
MUTUAL_TLS = Check(
    id="mtls.use",
    title="Mutual TLS is in use",
    severity=I,
    hint="`/istio-root transition` at a quiet time.",
    rule=holders.mutual_tls,
)
CANDIDATE = Check(
    id="proof.candidate",
    title="The new root is interchangeable with the old",
    severity=C,
    hint="Nothing was written.",
    rule=proof.candidate,
)
LEAVES = Check(
    id="proof.leaves",
    title="Certificates in use verify against the new root",
    severity=C,
    hint="Nothing was written. These certificates need a rotation with a new key.",
    rule=proof.leaves,
)
REVERSE = Check(
    id="proof.reverse",
    title="New certificates verify against the roots in use",
    severity=C,
    hint="Nothing was written.",
    rule=proof.reverse,
)

_CA = (
    RECOGNISED, SINGLE_SOURCE, PRESENT, READABLE, KEY_MATCHES, IS_CA, ALGORITHM, NOT_EXPIRED, EXPIRY, ALREADY_VALID,
    OTHERS, SUBJECT, SECRET_FIT, OWNER, HEALTHY, PODS, REPLICAS, VERSION, ROTATOR, CLOCK, EVERYTHING_READ,
    ONE_PLACE,
)  # fmt: skip
HOLDERS = (SECRETS, SECRETS_SKIPPED, TRUST, WEBHOOKS, SERVED, PROCESSES, PROXIES)
"""What is counted holder by holder."""

RENEWALS = (SECRET_LEAVES, SERVED_LEAVES, PROXY_LEAVES)
"""Whether what the CA issues is renewed and loaded in time, whichever root it is under."""

ROUTINE = (*_CA, ENDING, *HOLDERS, *RENEWALS, OUTLIVE, SIDECARS, MUTUAL_TLS)
"""What `check` and the schedule ask."""

PREFLIGHT = (*_CA, KUBERNETES, WRITES, RESTARTS, SIDECARS, MUTUAL_TLS, CANDIDATE, LEAVES, REVERSE)
"""What must be so before a plan is offered, and again before it starts."""

BASELINE = (SECRETS, TRUST, WEBHOOKS, SERVED, PROCESSES, PROXIES)
"""What holds the root now: told to the approver, so that what was broken before is not laid at the
rotation's door. Holders that are behind already are no obstacle: the rotation brings them up."""

INFORMING = (EXPIRY, OTHERS, SUBJECT, ROTATOR, SIDECARS, MUTUAL_TLS)
"""What is asked before a rotation and never forbids one."""

FORBIDDING_NOTE = CLOCK
"""A note anywhere else; but nothing is signed by a clock that may be wrong."""

VERIFICATION = (
    RECOGNISED, PRESENT, READABLE, KEY_MATCHES, NOT_EXPIRED, CURRENT, HEALTHY, PODS, ENDING, EVERYTHING_READ, ONE_PLACE,
    *HOLDERS,
)  # fmt: skip
"""What `verify` asks, and what ends a rotation."""

ALL = tuple(dict.fromkeys((*ROUTINE, *PREFLIGHT, *VERIFICATION)))


def evaluate(
    chain: Sequence[Check], snapshot: MeshSnapshot, *, policy: Policy, now: datetime
) -> tuple[Finding, ...]:
    """Ask every check of a chain; worst first."""
    scene = Scene(snapshot=snapshot, authority=recognise(snapshot), policy=policy, now=now)
    return worst_first(finding for check in chain if (finding := check.evaluate(scene)))


def obstacles(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """What forbids a rotation: what is red or unknown, but for what a rotation cures and what only informs.

    That is BASELINE and INFORMING. Clocks that disagree are a note elsewhere, but here they forbid:
    nothing is signed by a clock that may be wrong.
    """
    informing = {check.id for check in (*INFORMING, *BASELINE)}
    return tuple(
        f
        for f in findings
        if f.check_id not in informing
        and (
            f.red
            or f.verdict is Verdict.UNKNOWN
            or (f.verdict is Verdict.NOT_OK and f.check_id == FORBIDDING_NOTE.id)
        )
    )


def worth_knowing(findings: Sequence[Finding]) -> tuple[str, ...]:
    """What the approver should know although it forbids nothing, in sentences."""
    known = {check.id for check in (EXPIRY, ROTATOR)}
    telling = [f for f in findings if f.verdict in (Verdict.NOT_OK, Verdict.UNKNOWN)]
    return tuple(_note(finding) for finding in telling if finding.check_id not in known)


def _note(finding: Finding) -> str:
    lead = ""
    if finding.check_id in {check.id for check in BASELINE}:
        lead = "Already so before: "
        if finding.verdict is Verdict.UNKNOWN:
            lead = "Already so before, and it keeps a rotation from being done: "
    summary = finding.summary if lead else finding.summary[0].upper() + finding.summary[1:]
    shown = finding.offenders[:NAMED]
    more = len(finding.offenders) - len(shown)
    named = "; ".join(shown) + (f"; and {more:,} more" if more else "")
    return f"{lead}{summary}" + (f": {named}" if named else "")
