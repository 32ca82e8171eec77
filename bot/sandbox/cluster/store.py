"""The objects themselves: a small etcd with one revision counter and consistent snapshots.

Rules of the API (who may write what) are in ``registry.py``; here only: keep, order, number, tell.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from bot.sandbox.cluster.objects import Json, encode, object_key, ordered
from bot.sandbox.cluster.resources import TABLE, Resource

_SNAPSHOTS = 64  # lists in progress that are remembered; older ones answer 410


class Stored:
    """One version of one object with its bytes, encoded once and only when asked for."""

    __slots__ = ("_full", "_metadata", "key", "resource", "revision", "value")

    def __init__(self, resource: Resource, value: Json, revision: int) -> None:
        self.resource = resource
        self.value = value
        self.revision = revision
        self.key = object_key(value)
        self._full: bytes | None = None
        self._metadata: bytes | None = None

    def item(self) -> bytes:
        """As an item of a list, where built-in kinds do not repeat their type."""
        if self._full is None:
            self._full = encode(ordered(self._typeless()))
        return self._full

    def whole(self) -> bytes:
        """As an answer of its own."""
        if self.resource.custom:
            return self.item()
        head = f'{{"kind":"{self.resource.kind}","apiVersion":"{self.resource.group_version}",'
        return head.encode() + self.item()[1:]

    def metadata(self) -> bytes:
        """As a ``PartialObjectMetadata``."""
        if self._metadata is None:
            kind = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
            self._metadata = encode(kind | ordered({"metadata": self.value["metadata"]}))
        return self._metadata

    def _typeless(self) -> Json:
        if self.resource.custom:
            return self.value
        return {key: each for key, each in self.value.items() if key not in ("kind", "apiVersion")}


class Happened(StrEnum):
    """What became of an object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Change:
    """Told to subscribers after the fact, in order; ``before`` is None when added."""

    what: Happened
    resource: Resource
    value: Json
    before: Json | None


Listener = Callable[[Change], None]


class _Shelf:
    __slots__ = ("by_key", "keys")

    def __init__(self) -> None:
        self.by_key: dict[str, Stored] = {}
        self.keys: list[str] = []


class Store:
    """All objects of a cluster in memory."""

    def __init__(self) -> None:
        self.revision = 1000
        self._shelves = {resource: _Shelf() for resource in TABLE}
        self._listeners: list[Listener] = []
        self._snapshots: OrderedDict[tuple[object, ...], list[Stored]] = OrderedDict()

    def get(self, resource: Resource, key: str) -> Stored | None:
        """The current version, if there is one."""
        return self._shelves[resource].by_key.get(key)

    def scan(self, resource: Resource, namespace: str = "") -> Iterator[Stored]:
        """Current versions in key order, of one namespace or all."""
        shelf = self._shelves[resource]
        start, end = 0, len(shelf.keys)
        if namespace:
            start = bisect_left(shelf.keys, f"{namespace}/")
            end = bisect_left(shelf.keys, f"{namespace}0")  # "0" follows "/"
        return iter([shelf.by_key[key] for key in shelf.keys[start:end]])

    def values(self, resource: Resource, namespace: str = "") -> list[Json]:
        """The same as plain objects, which must not be changed."""
        return [stored.value for stored in self.scan(resource, namespace)]

    def put(self, resource: Resource, value: Json) -> Stored:
        """Keep ``value``, which belongs to the store from now on, as the new version."""
        self.revision += 1
        value["metadata"]["resourceVersion"] = str(self.revision)
        stored = Stored(resource, value, self.revision)
        shelf = self._shelves[resource]
        before = shelf.by_key.get(stored.key)
        if before is None:
            insort(shelf.keys, stored.key)
        shelf.by_key[stored.key] = stored
        what = Happened.MODIFIED if before else Happened.ADDED
        self._tell(Change(what, resource, value, before.value if before else None))
        return stored

    def remove(self, resource: Resource, key: str) -> None:
        """Forget an object; nothing happens if it is not there."""
        shelf = self._shelves[resource]
        gone = shelf.by_key.pop(key, None)
        if gone is None:
            return
        del shelf.keys[bisect_left(shelf.keys, key)]
        self.revision += 1
        self._tell(Change(Happened.DELETED, resource, gone.value, gone.value))

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener`` after every change; it must return at once."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Listener) -> None:
        """Tell ``listener`` nothing more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def _tell(self, change: Change) -> None:
        for listener in tuple(self._listeners):
            listener(change)

    def remember(self, ticket: tuple[object, ...], found: list[Stored]) -> None:
        """Keep a list's state for its next pages."""
        self._snapshots[ticket] = found
        self._snapshots.move_to_end(ticket)
        while len(self._snapshots) > _SNAPSHOTS:
            self._snapshots.popitem(last=False)

    def recall(self, ticket: tuple[object, ...]) -> list[Stored] | None:
        """The state of a list in progress, None once compacted."""
        return self._snapshots.get(ticket)

    def compact(self) -> None:
        """Forget every list in progress, as etcd's compaction does every five minutes."""
        self._snapshots.clear()
