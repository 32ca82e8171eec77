"""What is done at start and every half minute: nothing that should go on stands still.

The sweep is also the reconciler: deadlines that passed while nobody looked, rotations that a
stopped process left behind.
"""

from bot.core.record import Change
from bot.core.rotation import Rotation, RotationState
from bot.errors import LostRace
from bot.flow.advance import lapse
from bot.flow.ports import Clock, Scheduler, Store
from bot.flow.tell import redraw


def redraw_active(store: Store) -> None:
    """Have every active rotation's card drawn anew, in case its last drawing was lost."""
    cards = tuple(redraw(rotation) for rotation in store.active_rotations())
    if cards:
        store.commit(Change(messages=cards))


def sweep(store: Store, clock: Clock, scheduler: Scheduler) -> None:
    """Expire what nobody decided in time, and have the rest go on."""
    now = clock.now()
    for rotation in store.active_rotations():
        if _lapsed(rotation, clock):
            try:
                store.commit(lapse(rotation, now))
            except LostRace:
                continue  # decided in this very moment
        elif rotation.state in (RotationState.APPROVED, RotationState.RUNNING, RotationState.ROLLING_BACK):
            scheduler.advance_soon(rotation.id)


def _lapsed(rotation: Rotation, clock: Clock) -> bool:
    now = clock.now()
    match rotation.state:
        case RotationState.PROPOSED:
            return now >= rotation.expires_at
        case RotationState.APPROVED:
            return rotation.start_by is not None and now >= rotation.start_by
        case _:
            return False
