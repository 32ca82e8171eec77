"""One look at a cluster: lists that fall back to single namespaces, and what could not be read.

A part that cannot be read never stops the look; it becomes an Unread with its name and the reason.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import msgspec

from bot.core.mesh import Part, Unread
from bot.edges.kube.client import KubeClient
from bot.edges.kube.connection import Query
from bot.edges.kube.targets import NAMESPACES, Target
from bot.edges.kube.translate import token_refused
from bot.edges.kube.wire import NAMESPACE_PAGE, NamespaceWire, Page
from bot.errors import ClusterError, ClusterForbidden, ObjectAbsent

FALLBACK_THREADS = 8
"""Lists at once where every namespace has to be asked alone."""

T = TypeVar("T")
U = TypeVar("U")


class Look:
    """Reads on behalf of the reader and remembers every miss."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self.client = client
        self.namespace = namespace
        self._unread: list[Unread] = []
        self._namespaces: tuple[NamespaceWire, ...] | None = None

    @property
    def unread(self) -> tuple[Unread, ...]:
        """What could not be read, each once."""
        return tuple(dict.fromkeys(self._unread))

    def miss(self, part: Part, what: str, reason: str) -> None:
        """Remember that something could not be read."""
        self._unread.append(Unread(part=part, what=what, reason=reason))

    def one(self, part: Part, what: str, read: Callable[[], T], *, absent: U, unread: U) -> T | U:
        """Read one thing that may be absent or unreadable."""
        try:
            return read()
        except ObjectAbsent:
            return absent
        except ClusterError as fault:
            self.miss(part, what, fault.message)
            return unread

    def namespaces(self, part: Part) -> tuple[NamespaceWire, ...] | None:
        """Every namespace, read once; None (and a miss) when they cannot be listed."""
        if self._namespaces is None:
            found: list[NamespaceWire] = []
            try:
                self.client.collect(NAMESPACES, NAMESPACE_PAGE, as_is, into=found)
            except ClusterError as fault:
                self.miss(part, "Namespaces", fault.message)
                return None
            self._namespaces = tuple(found)
        return self._namespaces

    def cluster_wide(
        self,
        part: Part,
        what: str,
        target: Target,
        decoder: msgspec.json.Decoder[Page[T]],
        convert: Callable[[T], U],
    ) -> list[U]:
        """List a resource that has no namespaces; one that the cluster does not have is empty."""
        found: list[U] = []
        try:
            self.client.collect(target, decoder, convert, into=found)
        except ObjectAbsent:
            return []
        except ClusterError as fault:
            self.miss(part, what, fault.message)
        return found

    def everywhere(
        self,
        part: Part,
        what: str,
        target: Target,
        decoder: msgspec.json.Decoder[Page[T]],
        convert: Callable[[T], U],
        *,
        query: Query = (),
        metadata_only: bool = False,
    ) -> list[U]:
        """List a resource in all namespaces; where that is forbidden, in each namespace by itself.

        A resource that the cluster does not have is empty.
        """
        found = self.everywhere_if_known(
            part, what, target, decoder, convert, query=query, metadata_only=metadata_only
        )
        return found or []

    def everywhere_if_known(
        self,
        part: Part,
        what: str,
        target: Target,
        decoder: msgspec.json.Decoder[Page[T]],
        convert: Callable[[T], U],
        *,
        query: Query = (),
        metadata_only: bool = False,
    ) -> list[U] | None:
        """Like `everywhere`; None where the cluster does not have the resource at all."""
        found: list[U] = []
        collect = partial(self.client.collect, query=tuple(query), metadata_only=metadata_only)
        try:
            collect(target, decoder, convert, into=found)
        except ObjectAbsent:
            return None
        except ClusterForbidden as fault:
            if found or token_refused(fault):
                # No answer of RBAC's to this list: asking more would be refused as well.
                self.miss(part, f"{what} in all namespaces", fault.message)
                return found
            return self._each_namespace(
                part,
                what,
                fault,
                lambda name, into: collect(target.within(name), decoder, convert, into=into),
            )
        except ClusterError as fault:
            self.miss(part, f"{what} in all namespaces", fault.message)
        return found

    def _each_namespace(
        self, part: Part, what: str, fault: ClusterError, collect: Callable[[str, list[U]], None]
    ) -> list[U] | None:
        places = self.namespaces(part)
        if places is None:
            self.miss(part, f"{what} outside namespace {self.namespace}", fault.message)
            names = [self.namespace]
        else:
            names = [place.metadata.name for place in places if not _going(place)]

        def listed(name: str) -> list[U] | None:
            into: list[U] = []
            try:
                collect(name, into)
            except ObjectAbsent:
                return None
            except ClusterError as each:
                self.miss(part, f"{what} in namespace {name}", each.message)
            return into

        with ThreadPoolExecutor(FALLBACK_THREADS, thread_name_prefix="kube-list") as pool:
            known = [entries for entries in pool.map(listed, names) if entries is not None]
        return [entry for entries in known for entry in entries] if known else None


def as_is(value: T) -> T:
    """Of what is kept as the wire tells it: no conversion."""
    return value


def _going(place: NamespaceWire) -> bool:
    return place.status.phase == "Terminating" or place.metadata.deletion_timestamp is not None
