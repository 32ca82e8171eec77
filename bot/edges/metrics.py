"""Numbers for the operator, in Prometheus' format.

The use cases know nothing of this: bootstrap wraps the store and the readers, and what goes through
them is counted. What is a state rather than an event (rotations, outbox) is asked for at each scrape.
"""

from collections import Counter as Tallied
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bot.core.authority import recognise, signing_root
from bot.core.certificates import SigningKey
from bot.core.findings import count_findings
from bot.core.ids import MeshName, RotationId
from bot.core.mesh import MeshSnapshot, Part, SecretState
from bot.core.record import (
    AuditEvent,
    Change,
    CheckRecord,
    Event,
    NoticeMemory,
    ReportPosted,
)
from bot.core.rotation import Rotation
from bot.errors import StoreError
from bot.flow.ports import Clock, ClusterReader, Outbox, Store

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of the exposition."""

STEP_BUCKETS = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400)
"""Seconds: from a write to 10,000 secrets at Citadel's two and a half a second."""

ALL_THAT_WAITS = timedelta(days=365)
"""How far ahead to ask the outbox, so that postponed messages count as waiting, too."""
MOST_COUNTED = 1000

T = TypeVar("T")


class Metrics:
    """All numbers, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._expiry = self._gauge(
            "root_expiry_timestamp_seconds", "When a root certificate expires (Unix time).", "mesh", "root"
        )
        self._remaining = self._gauge(
            "root_remaining_days", "Days left of a root when last read; negative after.", "mesh", "root"
        )
        self._unread = self._gauge("unread_objects", "What the latest read could not read.", "mesh", "part")
        self._checked = self._gauge(
            "check_success_timestamp_seconds", "The latest scheduled check that ran (Unix time).", "mesh"
        )
        self._check_ok = self._gauge("check_ok", "1 if the latest scheduled check could run.", "mesh")
        self._findings = self._gauge(
            "findings", "Findings of the latest report or scheduled check.", "mesh", "verdict", "severity"
        )
        self._rotation_ends = self._counter(
            "rotation_ends", "Rotations that reached a final state.", "mesh", "state"
        )
        self._refusals = self._counter("refusals", "What people were refused, by reason.", "act", "code")
        self._slack_calls = self._counter("slack_calls", "Calls to Slack's Web API.", "method", "result")
        self._step_seconds = Histogram(
            "rootkeeper_step_seconds",
            "From entering a step to its proof.",
            ("kind", "status"),
            registry=self.registry,
            buckets=STEP_BUCKETS,
        )

    def exposition(self) -> bytes:
        """Everything, as Prometheus reads it (CONTENT_TYPE)."""
        return generate_latest(self.registry)

    def slack_called(self, method: str, result: str) -> None:
        """A call to Slack ended: `ok`, or Slack's error code."""
        self._slack_calls.labels(method, result).inc()

    def counted(self, call: Callable[..., T], *, name_of: Callable[[Exception], str]) -> Callable[..., T]:
        """A Slack client's `api_call`, counted: its first argument is the method's name.

        `name_of` gives a fault's name, one of few: each is a time series.
        """

        def counting(method: str, /, *args: Any, **named: Any) -> T:
            try:
                answer = call(method, *args, **named)
            except Exception as error:
                self.slack_called(method, name_of(error))
                raise
            self.slack_called(method, "ok")
            return answer

        return counting

    def seen(self, snapshot: MeshSnapshot) -> None:
        """A cluster was read."""
        for part in snapshot.parts:
            self._unread.labels(snapshot.mesh, part).set(len(snapshot.unread_in(part)))
        if Part.AUTHORITY not in snapshot.parts:
            return
        if root := signing_root(snapshot, recognise(snapshot)):
            self._only_root(snapshot.mesh, root.fingerprint[:16])
            self._expiry.labels(snapshot.mesh, root.fingerprint[:16]).set(root.not_after.timestamp())
            left = root.not_after - snapshot.taken_at
            self._remaining.labels(snapshot.mesh, root.fingerprint[:16]).set(left / timedelta(days=1))

    def committed(self, change: Change) -> None:
        """A change was written to the record."""
        if change.check:
            self._schedule_checked(change.check)
        for message in change.messages:
            if isinstance(message.content, ReportPosted):
                report = message.content.report
                self._counted(report.mesh, count_findings(report.findings))
        for event in change.audit:
            self._audited(event, change.rotation)
        for rotation in (change.rotation, *change.supersedes):
            if rotation and rotation.final:
                self._rotation_ends.labels(rotation.mesh, rotation.state).inc()

    def watch(self, store: Store, outbox: Outbox, clock: Clock) -> None:
        """Ask the record for its states at each scrape."""
        self.registry.register(_States(store, outbox, clock))

    def _schedule_checked(self, check: CheckRecord) -> None:
        self._check_ok.labels(check.mesh).set(1 if check.ok else 0)
        if check.ok:
            self._counted(check.mesh, check.found)
        if check.last_success:
            self._checked.labels(check.mesh).set(check.last_success.timestamp())

    def _counted(self, mesh: MeshName, found: Iterable[tuple[str, str, int]]) -> None:
        for labels in _label_sets(self._findings, mesh):
            self._findings.remove(*labels)
        for verdict, severity, count in found:
            self._findings.labels(mesh, verdict, severity).set(count)

    def _audited(self, event: AuditEvent, rotation: Rotation | None) -> None:
        detail = dict(event.detail)
        if event.event is Event.REFUSED:
            self._refusals.labels(detail.get("act", ""), detail.get("code", "findings")).inc()
        if event.event in (Event.STEP_DONE, Event.STEP_SKIPPED) and rotation:
            self._step_ended(rotation, detail.get("step", ""))

    def _step_ended(self, rotation: Rotation, step_id: str) -> None:
        for step, state in rotation.walk:
            if step.id == step_id and state.entered_at and state.ended_at:
                took = (state.ended_at - state.entered_at).total_seconds()
                self._step_seconds.labels(step.kind, state.status).observe(took)

    def _only_root(self, mesh: MeshName, root: str) -> None:
        """A root that was replaced must not go on alarming."""
        for gauge in (self._expiry, self._remaining):
            for labels in _label_sets(gauge, mesh):
                if labels[1] != root:
                    gauge.remove(*labels)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"rootkeeper_{name}", text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"rootkeeper_{name}", text, labels, registry=self.registry)


def _label_sets(gauge: Gauge, mesh: str) -> list[tuple[str, ...]]:
    """The gauge's label values that belong to one mesh; `mesh` is every gauge's first label."""
    samples = next(iter(gauge.collect())).samples
    return [tuple(sample.labels.values()) for sample in samples if sample.labels.get("mesh") == mesh]


class _States(Collector):
    """What is so now, asked for at each scrape."""

    def __init__(self, store: Store, outbox: Outbox, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not read the record."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Rotations by state, and the outbox."""
        try:
            families: tuple[Metric, ...] = (self._rotations(), *self._waiting())
        except StoreError:
            families = ()
        yield GaugeMetricFamily(
            "rootkeeper_record_readable", "1 if the record could be read.", value=1 if families else 0
        )
        yield from families

    def _waiting(self) -> tuple[Metric, Metric]:
        now = self._clock.now()
        waiting = self._outbox.due(now + ALL_THAT_WAITS, limit=MOST_COUNTED)
        oldest = min((queued.created_at for queued in waiting), default=now)
        return (
            GaugeMetricFamily(
                "rootkeeper_outbox_messages", "Messages that are not told yet.", value=len(waiting)
            ),
            GaugeMetricFamily(
                "rootkeeper_outbox_age_seconds", "Age of the oldest.", value=(now - oldest).total_seconds()
            ),
        )

    def _rotations(self) -> Metric:
        family = GaugeMetricFamily(
            "rootkeeper_rotations", "Rotations that are going on.", labels=("mesh", "state")
        )
        counts = Tallied((rotation.mesh, rotation.state) for rotation in self._store.active_rotations())
        for (mesh, state), count in counts.items():
            family.add_metric((mesh, state), count)
        return family


# --- what bootstrap wraps around the ports ----------------------------------------------------------


class CountingStore:
    """The Store port: passes everything on and counts what was written."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    def commit(self, change: Change) -> Rotation | None:
        """Write it; count it only when it is written."""
        rotation = self._store.commit(change)
        self._metrics.committed(change)
        return rotation

    def rotation(self, rotation_id: RotationId) -> Rotation:
        """Passed on."""
        return self._store.rotation(rotation_id)

    def active_rotations(self) -> tuple[Rotation, ...]:
        """Passed on."""
        return self._store.active_rotations()

    def past_rotations(self, mesh: MeshName, *, limit: int) -> tuple[Rotation, ...]:
        """Passed on."""
        return self._store.past_rotations(mesh, limit=limit)

    def last_check(self, mesh: MeshName) -> CheckRecord | None:
        """Passed on."""
        return self._store.last_check(mesh)

    def notices(self, mesh: MeshName) -> NoticeMemory:
        """Passed on."""
        return self._store.notices(mesh)


class CountingReader:
    """The ClusterReader port: passes everything on and keeps the numbers of what was seen."""

    def __init__(self, reader: ClusterReader, metrics: Metrics) -> None:
        self._reader = reader
        self._metrics = metrics

    def read(self, parts: frozenset[Part]) -> MeshSnapshot:
        """Look, and keep the numbers."""
        snapshot = self._reader.read(parts)
        self._metrics.seen(snapshot)
        return snapshot

    def signing_key(self, expected: SecretState) -> SigningKey:
        """Passed on."""
        return self._reader.signing_key(expected)
