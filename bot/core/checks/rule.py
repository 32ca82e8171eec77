"""What a rule is given and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bot.core.authority import Authority, signing_root
from bot.core.certificates import Certificate
from bot.core.findings import Finding, Severity, Verdict
from bot.core.mesh import CaSecret, MeshSnapshot

READ = "`rootkeeper doctor` names missing permissions; otherwise try again when the API server is well."
"""What helps against something that could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is to be judged against, beside the snapshot."""

    expected: Certificate | None = None
    """The root that should be everywhere; None for the one in the CA secret."""
    left: Certificate | None = None
    """The root that the mesh's last finished rotation left; None when there was none, or another is under way."""
    candidate: Certificate | None = None
    """A new root that is not in use yet."""
    throw_away: Certificate | None = None
    """A leaf that the candidate's key signed, naming the candidate as its issuer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything a rule may look at."""

    snapshot: MeshSnapshot
    authority: Authority
    policy: Policy
    now: datetime

    @property
    def ca_secret(self) -> CaSecret | None:
        """The secret that the CA signs from; None where it signs from something else."""
        return self.snapshot.ca_secret if self.authority.uses_ca_secret else None

    @property
    def signer(self) -> Certificate | None:
        """The first certificate of that secret: what the CA signs with."""
        return signing_root(self.snapshot, self.authority)

    @property
    def expected(self) -> Certificate | None:
        """The root that should be everywhere."""
        return self.policy.expected or self.signer


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A rule's answer."""

    verdict: Verdict
    summary: str
    offenders: tuple[str, ...] = ()
    severity: Severity | None = None
    """Where it differs from the row's."""
    hint: str | None = None
    """Where a better one than the row's is known."""


Rule = Callable[[Scene], Judged | None]
"""None: there is nothing to say, because something more basic already failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One row."""

    id: str
    """Stable; names a paragraph in docs/runbook.md."""
    title: str
    """What is so when it is OK."""
    severity: Severity
    hint: str
    rule: Rule

    def evaluate(self, scene: Scene) -> Finding | None:
        """Ask the rule."""
        judged = self.rule(scene)
        if judged is None:
            return None
        return Finding(
            check_id=self.id,
            verdict=judged.verdict,
            severity=judged.severity or self.severity,
            summary=judged.summary,
            hint="" if judged.verdict is Verdict.OK else self.hint if judged.hint is None else judged.hint,
            offenders=judged.offenders,
        )


def ok(summary: str) -> Judged:
    """It is so."""
    return Judged(verdict=Verdict.OK, summary=summary)


def not_ok(
    summary: str,
    *,
    offenders: tuple[str, ...] = (),
    severity: Severity | None = None,
    hint: str | None = None,
) -> Judged:
    """It is not so."""
    return Judged(verdict=Verdict.NOT_OK, summary=summary, offenders=offenders, severity=severity, hint=hint)


def unknown(summary: str, *, offenders: tuple[str, ...] = (), hint: str | None = None) -> Judged:
    """It could not be told."""
    return Judged(verdict=Verdict.UNKNOWN, summary=summary, offenders=offenders, hint=hint)


def skipped(summary: str, *, offenders: tuple[str, ...] = ()) -> Judged:
    """By design there is nothing to judge."""
    return Judged(verdict=Verdict.SKIPPED, summary=summary, offenders=offenders, hint="")
