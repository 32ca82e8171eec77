"""Values to put into a record: small, complete, and different where a test says so."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.core.ids import ClusterUid, Fingerprint, MeshName, RotationId, TeamId, UserId
from bot.core.mesh import ObjectRef, SecretState
from bot.core.plan import BlastRadius, Mode, Plan, RootFacts, Step, StepKind
from bot.core.record import AuditEvent, Card, Event, Given, Message, Milestone, Placement, rotation_subject
from bot.core.rotation import Person, Rotation, RotationState, propose

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
PROD = MeshName("prod")
ADA = Person(team=TeamId("T1"), user=UserId("U1"), name="Ada")
ROOT = Fingerprint("a" * 64)
SECRET = ObjectRef(kind="Secret", namespace="istio-system", name="istio-ca-secret")
# Put together here, so that no scanner of this repository takes it for one.
PRIVATE_KEY = "-----BEGIN RSA " + "PRIVATE KEY-----"


def a_root(letter: str) -> RootFacts:
    return RootFacts(
        fingerprint=Fingerprint(letter * 64),
        subject="O=cluster.local",
        serial=2**127 - 1,
        not_before=NOW - timedelta(days=3650),
        not_after=NOW + timedelta(days=12),
        pem=b"-----BEGIN CERTIFICATE-----\n\x00\xff\n-----END CERTIFICATE-----\n",
    )


def a_plan(mesh: MeshName = PROD) -> Plan:
    step = Step(
        id="write-root",
        kind=StepKind.WRITE_ROOT,
        title="Write the new root",
        target=SECRET,
        takes=timedelta(seconds=1.5),
        deadline=timedelta(minutes=2),
    )
    return Plan(
        mode=Mode.EXTEND,
        mesh=mesh,
        namespace="istio-system",
        cluster_uid=ClusterUid("c0ffee"),
        authority="Citadel 1.4.10, self-signed root",
        secret=SecretState(uid="u", resource_version="7", digests=(("ca-cert.pem", "d" * 64),)),
        secret_ref=SECRET,
        backup_ref=replace(SECRET, name="rootkeeper-backup"),
        old_root=a_root("a"),
        new_root=a_root("b"),
        new_pem=a_root("b").pem,
        steps=(step,),
        undo_steps=(replace(step, id="restore-root"),),
        blast_radius=BlastRadius(secrets=20, proxies=12, namespaces=3),
        created_at=NOW,
    )


def a_rotation(digit: str = "1", *, mesh: MeshName = PROD, now: datetime = NOW) -> Rotation:
    return propose(
        a_plan(mesh),
        rotation_id=RotationId(digit * 32),
        requester=ADA,
        reason="expires in 12 days",
        now=now,
        lifetime=timedelta(hours=4),
    )


def ended(rotation: Rotation, state: RotationState = RotationState.CANCELLED) -> Rotation:
    return rotation.moved(state, now=NOW)


def a_card(rotation_id: str = "1" * 32) -> Message:
    content = Card(rotation_id=RotationId(rotation_id))
    return Message(
        subject=rotation_subject(RotationId(rotation_id)), placement=Placement.ANCHOR, content=content
    )


def a_milestone(
    note: str = "", *, rotation_id: str = "1" * 32, placement: Placement = Placement.REPLY
) -> Message:
    content = Milestone(rotation_id=RotationId(rotation_id), event=Event.STARTED, at=NOW, note=note)
    return Message(subject=rotation_subject(RotationId(rotation_id)), placement=placement, content=content)


def an_event(event: Event = Event.PROPOSED, **detail: str) -> AuditEvent:
    return AuditEvent(
        event=event,
        at=NOW,
        mesh=PROD,
        rotation_id=RotationId("1" * 32),
        person=ADA,
        detail=tuple(detail.items()),
    )


def a_warning(threshold: str = "30", *, mesh: MeshName = PROD) -> Given:
    return Given(mesh=mesh, root=ROOT, threshold=threshold, at=NOW)
