"""What a check says: Verdict, Severity, Finding, and the counts over everything that holds a root."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Four values, because `could not read` is neither fine nor broken."""

    OK = "ok"
    NOT_OK = "not_ok"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


class Severity(StrEnum):
    """How urgent a NOT_OK is."""

    CRITICAL = "critical"
    """The mesh is broken, or breaks within days."""
    WARNING = "warning"
    """It will break, or a rotation must not start like this."""
    INFO = "info"
    """Worth knowing; never makes a verdict red."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One result of one check."""

    check_id: str
    verdict: Verdict
    severity: Severity
    summary: str
    """A sentence with names and numbers."""
    hint: str = ""
    """What to do next; empty when there is nothing to do."""
    offenders: tuple[str, ...] = ()
    """Every object it is about, by name."""

    @property
    def red(self) -> bool:
        """Whether it counts against the mesh."""
        return self.verdict is Verdict.NOT_OK and self.severity is not Severity.INFO


_RANK = {
    (Verdict.NOT_OK, Severity.CRITICAL): 0,
    (Verdict.NOT_OK, Severity.WARNING): 1,
    (Verdict.UNKNOWN, Severity.CRITICAL): 2,
    (Verdict.UNKNOWN, Severity.WARNING): 2,
    (Verdict.UNKNOWN, Severity.INFO): 2,
    (Verdict.NOT_OK, Severity.INFO): 3,
}


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Red before unknown before notes before fine; otherwise in the order given."""
    return tuple(sorted(findings, key=lambda f: _RANK.get((f.verdict, f.severity), 4)))


def overall(findings: Iterable[Finding]) -> Verdict:
    """NOT_OK beats UNKNOWN beats OK; UNKNOWN over nothing at all."""
    seen = list(findings)
    if any(f.red for f in seen):
        return Verdict.NOT_OK
    if any(f.verdict is Verdict.UNKNOWN for f in seen):
        return Verdict.UNKNOWN
    return Verdict.OK if any(f.verdict is Verdict.OK for f in seen) else Verdict.UNKNOWN


def count_findings(findings: Iterable[Finding]) -> tuple[tuple[Verdict, Severity, int], ...]:
    """How many there are of each verdict and severity; what there is none of is left out."""
    counted = Counter((finding.verdict, finding.severity) for finding in findings)
    return tuple((verdict, severity, number) for (verdict, severity), number in counted.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Four counts for one kind of holder; the denominator is their sum."""

    kind: str
    """`workload secrets`, `proxies`."""
    ok: int
    not_ok: int
    unknown: int
    skipped: int

    @property
    def total(self) -> int:
        """How many there are."""
        return self.ok + self.not_ok + self.unknown + self.skipped

    @property
    def complete(self) -> bool:
        """Every one that counts is fine, and none is unknown."""
        return self.not_ok == 0 and self.unknown == 0

    @property
    def share(self) -> str:
        """`30 of 33`."""
        return f"{self.ok:,} of {self.total:,}"

    @property
    def others(self) -> tuple[str, ...]:
        """What is not among the fine ones: `2 not fine`, `1 unknown`; empty when nothing is."""
        counts = ((self.not_ok, "not fine"), (self.unknown, "unknown"), (self.skipped, "skipped"))
        return tuple(f"{number:,} {what}" for number, what in counts if number)

    def __str__(self) -> str:
        """`proxies: 30 of 33 fine, 2 not fine, 1 unknown`."""
        if self.total == 0:
            return f"{self.kind}: none seen"
        return f"{self.kind}: {', '.join((f'{self.share} fine', *self.others))}"
