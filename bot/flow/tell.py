"""Changes of a rotation together with what they make people and auditors hear.

Every change goes through `telling`, so that a state can never change in silence.
"""

from dataclasses import replace
from datetime import datetime

from bot.core.progress import MOST_NAMED, Straggler
from bot.core.record import (
    AuditEvent,
    Card,
    Change,
    Event,
    Message,
    Milestone,
    Placement,
    Result,
    StragglerFile,
    rotation_subject,
)
from bot.core.rotation import Person, Rotation

FOR_A_PERSON = (Event.PAUSED, Event.STILL_PAUSED)
"""What waits for somebody: told to the channel too, because few follow a thread at night."""


def telling(
    rotation: Rotation,
    event: Event,
    *,
    at: datetime,
    milestone: Milestone | Result | None = None,
    person: Person | None = None,
    channel: str = "",
    detail: tuple[tuple[str, str], ...] = (),
) -> Change:
    """A change to `rotation` with its audit row, its redrawn card and, if given, its milestone."""
    audit = AuditEvent(
        event=event,
        at=at,
        mesh=rotation.mesh,
        rotation_id=rotation.id,
        digest=rotation.digest,
        person=person,
        channel=channel,
        detail=tuple((name, value[:500]) for name, value in detail),
    )
    messages = (redraw(rotation), *(_spoken(rotation, milestone) if milestone else ()))
    return Change(rotation=rotation, messages=messages, audit=(audit,))


def together(first: Change, then: Change) -> Change:
    """Two changes of one rotation, the second made upon the first, in one transaction; its card is drawn once."""
    return replace(
        then,
        messages=tuple(dict.fromkeys((*first.messages, *then.messages))),
        audit=(*first.audit, *then.audit),
    )


def redraw(rotation: Rotation) -> Message:
    """The rotation's card, drawn anew from the record when it is delivered."""
    return Message(
        subject=rotation_subject(rotation.id),
        placement=Placement.ANCHOR,
        content=Card(rotation_id=rotation.id),
    )


def _spoken(rotation: Rotation, spoken: Milestone | Result) -> tuple[Message, ...]:
    subject = rotation_subject(rotation.id)
    heard_by_all = isinstance(spoken, Result) or spoken.event in FOR_A_PERSON
    placement = Placement.BROADCAST if heard_by_all else Placement.REPLY
    told = Message(subject=subject, placement=placement, content=spoken)
    return (
        told,
        *straggler_file(subject, f"{rotation.mesh}-{rotation.id[:8]}", spoken.stragglers, at=spoken.at),
    )


def straggler_file(
    subject: str, name: str, stragglers: tuple[Straggler, ...], *, at: datetime
) -> tuple[Message, ...]:
    """A file for the subject's thread when there are more stragglers than a message shows."""
    if len(stragglers) <= MOST_NAMED:
        return ()
    content = StragglerFile(name=f"stragglers-{name}-{at:%Y%m%d-%H%M%S}.txt", stragglers=stragglers)
    return (Message(subject=subject, placement=Placement.REPLY, content=content),)


def milestone(
    rotation: Rotation,
    event: Event,
    *,
    at: datetime,
    person: Person | None = None,
    note: str = "",
    facts: tuple[tuple[str, str], ...] = (),
    stragglers: tuple[Straggler, ...] = (),
) -> Milestone:
    """A milestone of a rotation as a whole."""
    return Milestone(
        rotation_id=rotation.id,
        event=event,
        at=at,
        person=person,
        note=note,
        facts=facts,
        stragglers=stragglers,
    )
