"""The numbers: counted where things pass, asked for where they stand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from prometheus_client.parser import text_string_to_metric_families

from bot.core.certificates import Bundle, KeyFacts, read_bundle
from bot.core.findings import Finding, Severity, Verdict, count_findings
from bot.core.ids import ClusterUid, MeshName
from bot.core.mesh import EVERYTHING, CaSecret, MeshSnapshot, ObjectRef, Part, SecretState, Unread
from bot.core.progress import StepStatus
from bot.core.record import Change, CheckRecord, Event, Message, Placement, Report, ReportPosted
from bot.edges.metrics import CountingReader, CountingStore, Metrics
from bot.errors import LostRace, StoreError
from bot.flow.ports import ClusterReader, Store
from tests.contract.store_samples import ADA, NOW, PROD, a_card, a_rotation, an_event, ended
from tests.fakes.store import FakeStore


def told(metrics: Metrics) -> dict[str, dict[tuple[str, ...], float]]:
    """Every sample by name and label values (by label name), as a scrape reads it."""
    samples: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            samples.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return samples


class FixedClock:
    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


def a_root(*, not_after: datetime) -> Bundle:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "cluster.local")])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=7,
        not_valid_before=NOW - timedelta(days=1),
        not_valid_after=not_after,
    )
    return read_bundle(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))


def a_snapshot(root: Bundle, *, unread: tuple[Unread, ...] = ()) -> MeshSnapshot:
    secret = CaSecret(
        ref=ObjectRef(kind="Secret", namespace="istio-system", name="istio-ca-secret"),
        type="istio.io/ca-root",
        state=SecretState(uid="u", resource_version="7", digests=()),
        immutable=False,
        root=root,
        key=KEY_FACTS,
    )
    return MeshSnapshot(
        mesh=PROD,
        namespace="istio-system",
        cluster_uid=ClusterUid("c0ffee"),
        parts=EVERYTHING,
        taken_at=NOW,
        ca_secret=secret,
        unread=unread,
    )


KEY_FACTS: Any = KeyFacts.__new__(KeyFacts)
"""What the numbers never look at."""


def a_report(*findings: Finding) -> Report:
    return Report(
        kind="check",
        mesh=PROD,
        cluster_uid="c0ffee",
        at=NOW,
        took=timedelta(seconds=2),
        verdict=Verdict.NOT_OK,
        headline="",
        meaning="",
        findings=findings,
    )


def a_finding(verdict: Verdict, severity: Severity = Severity.WARNING) -> Finding:
    return Finding(check_id="ca.expiry", verdict=verdict, severity=severity, summary="")


def posted(report: Report) -> Message:
    content = ReportPosted(report=report, person=ADA)
    return Message(subject="report/1", placement=Placement.NEW, content=content)


def test_a_look_at_a_mesh_gives_its_root_s_end_and_what_was_unread() -> None:
    metrics = Metrics()
    root = a_root(not_after=NOW + timedelta(days=12))
    unread = Unread(part=Part.PROXIES, what="proxy of shop/cart", reason="timed out")

    metrics.seen(a_snapshot(root, unread=(unread,)))

    labels = ("prod", root.certificates[0].fingerprint[:16])
    assert told(metrics)["rootkeeper_root_expiry_timestamp_seconds"] == {
        labels: (NOW + timedelta(days=12)).timestamp()
    }
    assert told(metrics)["rootkeeper_root_remaining_days"] == {labels: pytest.approx(12)}
    assert told(metrics)["rootkeeper_unread_objects"]["prod", "proxies"] == 1
    assert told(metrics)["rootkeeper_unread_objects"]["prod", "secrets"] == 0


def test_a_replaced_root_stops_alarming() -> None:
    metrics = Metrics()
    old, new = a_root(not_after=NOW + timedelta(days=1)), a_root(not_after=NOW + timedelta(days=3650))

    metrics.seen(a_snapshot(old))
    metrics.seen(replace(a_snapshot(old), mesh=MeshName("stage")))
    metrics.seen(a_snapshot(new))

    assert set(told(metrics)["rootkeeper_root_remaining_days"]) == {
        ("prod", new.certificates[0].fingerprint[:16]),
        ("stage", old.certificates[0].fingerprint[:16]),
    }


def test_a_root_that_could_not_be_read_leaves_the_last_known_end() -> None:
    metrics = Metrics()
    seen = a_snapshot(a_root(not_after=NOW + timedelta(days=12)))

    metrics.seen(seen)
    metrics.seen(replace(seen, ca_secret=None))

    assert len(told(metrics)["rootkeeper_root_expiry_timestamp_seconds"]) == 1


def test_a_scheduled_check_gives_its_success_and_its_time() -> None:
    metrics = Metrics()
    ran = CheckRecord(mesh=PROD, at=NOW, ok=True, summary="", last_success=NOW)

    metrics.committed(Change(check=ran))
    metrics.committed(Change(check=replace(ran, at=NOW + timedelta(days=1), ok=False)))

    assert told(metrics)["rootkeeper_check_ok"] == {("prod",): 0}
    assert told(metrics)["rootkeeper_check_success_timestamp_seconds"] == {("prod",): NOW.timestamp()}


def test_the_findings_are_those_of_the_latest_report() -> None:
    metrics = Metrics()
    bad, unknown, fine = (a_finding(v) for v in (Verdict.NOT_OK, Verdict.UNKNOWN, Verdict.OK))

    metrics.committed(Change(messages=(posted(a_report(bad, bad, unknown)),)))
    metrics.committed(Change(messages=(posted(a_report(bad, fine)), a_card())))

    assert told(metrics)["rootkeeper_findings"] == {
        ("prod", "warning", "not_ok"): 1,
        ("prod", "warning", "ok"): 1,
    }


def test_a_scheduled_check_counts_its_findings_though_it_tells_nobody() -> None:
    metrics = Metrics()
    found = count_findings((a_finding(Verdict.NOT_OK), a_finding(Verdict.NOT_OK)))
    ran = CheckRecord(mesh=PROD, at=NOW, ok=True, summary="red", last_success=NOW, found=found)

    metrics.committed(Change(check=ran))
    metrics.committed(Change(check=replace(ran, ok=False, found=())))

    assert told(metrics)["rootkeeper_findings"] == {("prod", "warning", "not_ok"): 2}


def test_refusals_are_counted_by_what_was_wanted_and_why_not() -> None:
    metrics = Metrics()
    refused = an_event(Event.REFUSED, act="approve", code="own_request")

    metrics.committed(Change(audit=(refused, refused, an_event(Event.APPROVED))))

    assert told(metrics)["rootkeeper_refusals_total"] == {("approve", "own_request"): 2}


@pytest.mark.parametrize(
    ("event", "status"),
    [(Event.STEP_DONE, StepStatus.DONE), (Event.STEP_SKIPPED, StepStatus.SKIPPED)],
)
def test_a_step_that_ended_gives_how_long_it_took(event: Event, status: StepStatus) -> None:
    metrics = Metrics()
    rotation = a_rotation()
    state = rotation.steps[0].entered(NOW, timedelta(minutes=2))
    state = state.ended_as(status, now=NOW + timedelta(seconds=42), note="")
    row = an_event(event, step="write-root")

    metrics.committed(Change(rotation=rotation.with_step(state), audit=(row,)))

    assert told(metrics)["rootkeeper_step_seconds_sum"] == {("write_root", status): 42}


def test_rotations_that_end_are_counted_by_how() -> None:
    metrics = Metrics()

    metrics.committed(Change(rotation=ended(a_rotation("1")), supersedes=(ended(a_rotation("2")),)))
    metrics.committed(Change(rotation=a_rotation("3")))

    assert told(metrics)["rootkeeper_rotation_ends_total"] == {("prod", "cancelled"): 2}


def test_calls_to_slack_are_counted_by_method_and_result() -> None:
    metrics = Metrics()

    for result in ("ok", "ok", "ratelimited"):
        metrics.slack_called("chat.postMessage", result)

    assert told(metrics)["rootkeeper_slack_calls_total"] == {
        ("chat.postMessage", "ok"): 2,
        ("chat.postMessage", "ratelimited"): 1,
    }


def test_a_client_s_calls_are_counted_and_its_answers_and_errors_passed_on() -> None:
    metrics = Metrics()

    class Refused(Exception):
        pass

    def call(method: str, *, json: dict[str, str]) -> str:
        if json["channel"] == "C1":
            raise Refused
        if json["channel"] == "C2":
            raise TimeoutError
        return f"{method} ok"

    counted = metrics.counted(call, name_of=lambda error: type(error).__name__)

    assert counted("chat.update", json={"channel": "C0"}) == "chat.update ok"
    with pytest.raises(Refused):
        counted("chat.update", json={"channel": "C1"})
    with pytest.raises(TimeoutError):
        counted("chat.update", json={"channel": "C2"})
    assert told(metrics)["rootkeeper_slack_calls_total"] == {
        ("chat.update", "ok"): 1,
        ("chat.update", "Refused"): 1,
        ("chat.update", "TimeoutError"): 1,
    }


def test_states_are_asked_for_at_each_scrape() -> None:
    metrics, clock = Metrics(), FixedClock(NOW)
    store = FakeStore(clock=clock)
    metrics.watch(store, store, clock)
    assert told(metrics)["rootkeeper_outbox_messages"] == {(): 0}

    store.commit(Change(rotation=a_rotation(), messages=(a_card(),)))
    clock.time = NOW + timedelta(minutes=3)

    assert told(metrics)["rootkeeper_rotations"] == {("prod", "proposed"): 1}
    assert told(metrics)["rootkeeper_outbox_messages"] == {(): 1}
    assert told(metrics)["rootkeeper_outbox_age_seconds"] == {(): 180}
    assert told(metrics)["rootkeeper_record_readable"] == {(): 1}


def test_a_record_that_cannot_be_read_is_a_number_and_no_failed_scrape() -> None:
    class Broken(FakeStore):
        def active_rotations(self) -> Any:
            raise StoreError("disk gone")

    metrics = Metrics()
    store = Broken()
    metrics.watch(store, store, FixedClock(NOW))

    assert told(metrics)["rootkeeper_record_readable"] == {(): 0}


def test_a_counting_store_is_a_store_and_counts_what_was_written() -> None:
    metrics, inner = Metrics(), FakeStore(clock=FixedClock(NOW))
    store: Store = CountingStore(inner, metrics)

    rotation = store.commit(
        Change(rotation=a_rotation(), audit=(an_event(Event.REFUSED, act="a", code="b"),))
    )

    assert rotation is not None
    assert store.rotation(rotation.id) == rotation
    assert store.active_rotations() == (rotation,)
    assert store.past_rotations(PROD, limit=5) == (rotation,)
    assert store.last_check(PROD) is None
    assert store.notices(PROD).given == ()
    assert told(metrics)["rootkeeper_refusals_total"] == {("a", "b"): 1}


def test_what_was_not_written_is_not_counted() -> None:
    metrics, inner = Metrics(), FakeStore(clock=FixedClock(NOW))
    store = CountingStore(inner, metrics)
    inner.fails_with = LostRace("moved on")

    with pytest.raises(LostRace):
        store.commit(Change(audit=(an_event(Event.REFUSED, act="a", code="b"),)))

    assert "rootkeeper_refusals_total" not in told(metrics)


def test_a_counting_reader_is_a_reader_and_keeps_what_was_seen() -> None:
    metrics = Metrics()
    snapshot = a_snapshot(a_root(not_after=datetime(2030, 1, 1, tzinfo=UTC)))

    class Inner:
        def read(self, parts: frozenset[Part]) -> MeshSnapshot:
            assert parts == EVERYTHING
            return snapshot

        def signing_key(self, expected: SecretState) -> Any:
            return expected

    reader: ClusterReader = CountingReader(Inner(), metrics)
    state: Any = SecretState(uid="u", resource_version="7", digests=())

    assert reader.read(EVERYTHING) is snapshot
    assert reader.signing_key(state) is state
    assert "rootkeeper_root_remaining_days" in told(metrics)


def test_two_sets_of_numbers_do_not_meet() -> None:
    one, two = Metrics(), Metrics()

    one.slack_called("auth.test", "ok")

    assert "rootkeeper_slack_calls_total" not in told(two)
