"""What is done at start and every half minute: nothing that should go on stands still.

The sweep is also the reconciler: deadlines that passed while nobody looked, rotations that a
stopped process left behind.
"""

from datetime import datetime

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
    """Expire what nobody decided in time, and have the rest go on.

    An approval that was not used in time lapses in `advance`, where its mesh is at hand.
    """
    now = clock.now()
    for rotation in store.active_rotations():
        match rotation.state:
            case RotationState.PROPOSED if now >= rotation.expires_at:
                _expire(store, rotation, now)
            case RotationState.APPROVED | RotationState.RUNNING | RotationState.ROLLING_BACK:
                scheduler.resume(rotation.id)


def _expire(store: Store, rotation: Rotation, now: datetime) -> None:
    try:
        store.commit(lapse(rotation, now))
    except LostRace:
        return  # decided in this very moment
