"""Who leads: one row with a holder, an end and an epoch that only ever grows.

Every write names the epoch it was made under; a write of an older one is refused. So a leader that
slept through its own lease can do no harm, whatever it believes.

The lease's end is a time of day, the only clock that two processes share: one that is set forward lets
a lease lapse early (the epoch still fences), one that is set back lets others wait as much longer.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, select, update

from bot.edges.store.engine import reading, writing
from bot.edges.store.tables import lease
from bot.errors import NotLeader

NOBODY = ""


class Lease:
    """The one lease of a database. Safe to use from any thread and any number of processes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def acquire(
        self,
        holder: str,
        *,
        now: datetime,
        duration: timedelta,
        gone: Callable[[str], bool] = lambda _holder: False,
    ) -> int | None:
        """Take it when it is free, lapsed, this holder's already, or a holder's that is surely gone.

        Gives a new, higher epoch, which fences off whoever had it; None when somebody else holds it.
        The same name is a former self: no two processes have one name at a time. `gone` says of any
        other name whether its process has ended beyond doubt.
        """
        with writing(self._engine) as connection:
            row = connection.execute(select(lease).with_for_update()).one()
            free = row.holder in (NOBODY, holder) or row.expires_at <= now or gone(row.holder)
            if not free:
                return None
            epoch: int = row.epoch + 1
            connection.execute(update(lease).values(holder=holder, epoch=epoch, expires_at=now + duration))
            return epoch

    def holder(self) -> str:
        """Who took it last and has not given it back; empty for nobody."""
        with reading(self._engine) as connection:
            found: str = connection.execute(select(lease.c.holder)).scalar_one()
            return found

    def renew(self, holder: str, *, epoch: int, now: datetime, duration: timedelta) -> bool:
        """Hold it for longer; False when it is somebody else's, or a later epoch's, by now.

        Also after its end, as long as nobody took it: without a new epoch nobody else acted.
        """
        with writing(self._engine) as connection:
            held = (lease.c.holder == holder) & (lease.c.epoch == epoch)
            return (
                connection.execute(update(lease).where(held).values(expires_at=now + duration)).rowcount == 1
            )

    def release(self, holder: str, *, epoch: int) -> None:
        """Give it back, so that another need not wait; nothing happens when it is not held any more."""
        with writing(self._engine) as connection:
            held = (lease.c.holder == holder) & (lease.c.epoch == epoch)
            connection.execute(update(lease).where(held).values(holder=NOBODY, expires_at=None))


def require_epoch(connection: Connection, epoch: int) -> None:
    """Hold the lease's row until the transaction ends, and this epoch must be its own.

    The lease's end is not looked at: as long as no other epoch has begun, nobody else acts. Holding
    the row also makes changes queue up on databases that let several write at once.

    Raises:
        NotLeader: another epoch has begun, or the lease was given back.
    """
    row = connection.execute(select(lease).with_for_update()).one()
    if row.holder == NOBODY:
        raise NotLeader(f"nobody leads since epoch {row.epoch}; this process was in epoch {epoch}")
    if row.epoch != epoch:
        raise NotLeader(f"{row.holder} leads in epoch {row.epoch}; this process is in epoch {epoch}")
