"""The audit log: who asked for what and what came of it."""

from collections import deque
from dataclasses import asdict, dataclass

from bot.sandbox.cluster.objects import Json

_KEEP = 200_000  # entries; a rotation of a large mesh makes some ten thousand


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request, or one write of the stand-in's own controllers; ``code`` 0: the connection was cut."""

    at: str
    verb: str
    resource: str
    namespace: str
    name: str
    user: str
    code: int
    subresource: str = ""
    dry_run: bool = False


class Audit:
    """Entries in order."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=_KEEP)

    def add(self, entry: Entry) -> None:
        """Write down one entry."""
        self.entries.append(entry)

    def of(self, user: str = "", *, resource: str = "", verbs: tuple[str, ...] = ()) -> list[Entry]:
        """The entries that match; an empty argument matches all."""
        return [
            each
            for each in self.entries
            if (not user or each.user == user)
            and (not resource or each.resource == resource)
            and (not verbs or each.verb in verbs)
        ]

    def records(self) -> list[Json]:
        """All entries as JSON values."""
        return [asdict(each) for each in self.entries]
