"""The few verbs of the Kubernetes API that this edge has, with patience and pages.

Get, list, patch, stream, and ask for an access review. It cannot create or delete anything, so
nothing in this edge can.
"""

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Self, TypeVar

import msgspec
import tenacity
import websocket

from bot.core.kubernetes import ROTATION_HINT, why_no_rotation
from bot.edges.kube import connection, discovery, translate
from bot.edges.kube.connection import Answer, Connection, Json, Query
from bot.edges.kube.deadline import Deadline
from bot.edges.kube.targets import ACCESS_REVIEWS, Target
from bot.edges.kube.translate import Again, Doing, Expired, NotFound
from bot.edges.kube.wire import Page, Stored
from bot.errors import ClusterError, ClusterRefused, ClusterUnreachable, ObjectAbsent

PAGE_SIZE = 500
"""Objects per page: what kubectl and client-go ask for."""

ATTEMPTS = 4
LONGEST_PAUSE = timedelta(seconds=10)
"""A server that asks for more patience than this gets it from the scheduler, not from a blocked thread."""

FIELD_MANAGER = "rootkeeper"

JSON = "application/json"
METADATA_ONLY = (
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,"
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1beta1"
)
"""v1 since Kubernetes 1.15. Never the whole object: what is asked for like this may hold a key."""
METADATA_LIST_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
"""Else whole, and never v1beta1: before Kubernetes 1.15 such a list has no metadata of its own, so no
continue token, and its first page would pass for all of it."""

T = TypeVar("T")
S = TypeVar("S", bound=Stored)
U = TypeVar("U")


class PatchKind(StrEnum):
    """The two patches that this edge uses, by content type."""

    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"


class KubeClient:
    """One cluster's API, asked politely and with bounds. Threads may share it."""

    def __init__(self, link: Connection, *, sleep: Callable[[float], None] = tenacity.nap.sleep) -> None:
        self._link = link
        self._sleep = sleep
        self._older: set[tuple[str, str]] = set()
        """Resources that this server was found to have in their older version only."""

    @classmethod
    def from_kubeconfig(cls, path: Path | None = None, *, context: str | None = None) -> Self:
        """Connect as a kubeconfig says; the default file, its current context where nothing is named.

        Raises:
            ClusterUnreachable: the file cannot be used.
        """
        return cls(connection.from_kubeconfig(path, context=context))

    @classmethod
    def in_cluster(cls) -> Self:
        """Connect with the pod's own ServiceAccount.

        Raises:
            ClusterUnreachable: this is no pod.
        """
        return cls(connection.in_cluster())

    def close(self) -> None:
        """Let go of every socket."""
        self._link.close()

    def fetch(
        self, target: Target, *, metadata_only: bool = False, deadline: Deadline | None = None
    ) -> Answer:
        """Read one object, raw; with a deadline, nothing more is asked or waited for after it.

        Raises:
            ObjectAbsent, ClusterForbidden, ClusterUnreachable.
        """
        accept = METADATA_ONLY if metadata_only else JSON

        def ask(served: Target) -> Answer:
            doing = Doing(verb="get", target=served)
            return self._patiently(
                lambda: self._link.send(doing, "GET", accept=accept, deadline=deadline), deadline
            )

        return self._in_its_version(target, ask, deadline)

    def get(
        self,
        target: Target,
        decoder: msgspec.json.Decoder[S],
        *,
        metadata_only: bool = False,
        deadline: Deadline | None = None,
    ) -> S:
        """Read one object, decoded. Raises as `fetch` does."""
        answer = self.fetch(target, metadata_only=metadata_only, deadline=deadline)
        return _object(answer, decoder, Doing(verb="get", target=target))

    def collect(
        self,
        target: Target,
        decoder: msgspec.json.Decoder[Page[T]],
        convert: Callable[[T], U],
        *,
        into: list[U],
        query: Query = (),
        metadata_only: bool = False,
    ) -> None:
        """Read a list page by page and append each object, converted; no page outlives its turn.

        When it raises, what was read until then stays in `into`: it is true, but not all.

        Raises:
            ObjectAbsent (the cluster has no such resource), ClusterForbidden, ClusterUnreachable.
        """
        start, token, expirations = len(into), "", 0
        while True:
            asked = [*query, *_paging(token, expirations)]
            try:
                page = self._page(target, decoder, asked, metadata_only=metadata_only)
            except Expired as expired:
                expirations += 1
                token = _after_expiry(target, expired, expirations)
                if not token:
                    del into[start:]
                continue
            into.extend(convert(entry) for entry in page.entries)
            token = page.token
            if not token:
                return

    def _page(
        self, target: Target, decoder: msgspec.json.Decoder[Page[T]], query: Query, *, metadata_only: bool
    ) -> Page[T]:
        accept = METADATA_LIST_ONLY if metadata_only else JSON

        def ask(served: Target) -> Page[T]:
            doing = Doing(verb="list", target=served)
            answer = self._patiently(lambda: self._link.send(doing, "GET", query=query, accept=accept))
            return decoded(answer, decoder, doing)

        return self._in_its_version(target, ask)

    def patch(
        self,
        target: Target,
        body: Json,
        decoder: msgspec.json.Decoder[S],
        *,
        kind: PatchKind = PatchKind.MERGE,
        rehearse: bool = False,
    ) -> S:
        """Patch one object; with `rehearse` the server only goes through it. Gives the object after it.

        Raises:
            ClusterConflict, ClusterRefused, ObjectAbsent, ClusterForbidden, ClusterUnreachable.
            OutcomeUnknown: it was sent and no usable answer came.
        """
        query = [("fieldManager", FIELD_MANAGER), *([("dryRun", "All")] if rehearse else [])]
        if rehearse:
            self._check_rehearsals(target)

        def ask(served: Target) -> S:
            doing = Doing(verb="patch", target=served, writes=True)
            answer = self._patiently(
                lambda: self._link.send(doing, "PATCH", query=query, body=body, content_type=kind.value)
            )
            return _object(answer, decoder, doing)

        return self._in_its_version(target, ask)

    def _check_rehearsals(self, target: Target) -> None:
        """Kubernetes 1.10 and before overlook `dryRun` and write: such a server is never asked."""
        version = self.version()
        if why := why_no_rotation(version):
            raise ClusterRefused(f"patch {target} was not rehearsed: {why}", hint=ROTATION_HINT)

    def _in_its_version(
        self, target: Target, ask: Callable[[Target], T], deadline: Deadline | None = None
    ) -> T:
        """Ask in the version that this server has, as far as is known; else in the other, and remember."""
        known = target.kind in self._older
        first, second = (target.before, target) if known else (target, target.before)
        try:
            return ask(first)
        except NotFound as fault:
            if not target.older:
                raise self._missing(target, fault, deadline) from None
            try:
                found = ask(second)
            except NotFound:
                raise self._missing(target, fault, deadline) from None
        (self._older.discard if known else self._older.add)(target.kind)
        return found

    def _missing(self, target: Target, fault: NotFound, deadline: Deadline | None) -> ClusterError:
        """What a 404 for a path means: it is absent only if the cluster's own list of kinds lacks its kind."""

        def ask(path: str, decoder: msgspec.json.Decoder[T]) -> T:
            doing = Doing(verb="get", target=Target(resource=path))
            answer = self._plainly(lambda: self._link.send(doing, "GET", path=path, deadline=deadline))
            return decoded(answer, decoder, doing)

        try:
            served = discovery.served_versions(ask, target)
        except ClusterError as unasked:
            why = f"whether the cluster has {target.whole} cannot be told: {unasked.message}"
        else:
            if not served:
                return ObjectAbsent(f"{target} does not exist: the cluster has no such resource")
            why = f"the cluster has {target.whole}, in {', '.join(served)}"
        return type(fault.error)(f"{fault.error.message}; {why}", retry_after=fault.error.retry_after)

    def may(self, verb: str, target: Target) -> bool:
        """Ask the API server whether the bot may do this (SelfSubjectAccessReview).

        Raises:
            ClusterForbidden, ClusterRefused, ClusterUnreachable.
        """
        attributes = {
            "verb": verb,
            "group": target.group,
            "resource": target.resource,
            "subresource": target.subresource,
            "namespace": target.namespace,
            "name": target.name,
        }
        body: Json = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        doing = Doing(verb="create", target=ACCESS_REVIEWS)  # stores nothing: it may be repeated
        answer = self._plainly(lambda: self._link.send(doing, "POST", body=body))
        return decoded(answer, _REVIEW, doing).status.allowed

    def version(self) -> str:
        """The API server's version: `v1.37.2`.

        Raises:
            ClusterForbidden, ClusterUnreachable.
        """
        doing = Doing(verb="get", target=Target(resource="version"))
        answer = self._plainly(lambda: self._link.send(doing, "GET", path="/version"))
        return decoded(answer, _VERSION, doing).git_version

    def stream(self, target: Target, *, query: Query, protocols: str, seconds: float) -> websocket.WebSocket:
        """Open a WebSocket to a pod's subresource; the caller closes it.

        Raises:
            ClusterForbidden, ObjectAbsent, ClusterRefused, ClusterUnreachable.
        """
        doing = Doing(verb="create", target=target)
        return self._link.stream(doing, query=query, protocols=protocols, seconds=seconds)

    def _plainly(self, request: Callable[[], Answer]) -> Answer:
        """Send it patiently, where a 404 can only mean that something else answers."""
        try:
            return self._patiently(request)
        except NotFound as fault:
            raise fault.error from None

    def _patiently(self, request: Callable[[], Answer], deadline: Deadline | None = None) -> Answer:
        """Send it, and again while the server says that it is busy, as often as is bearable."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda fault: _bearable(fault, deadline)),
            wait=_wait,
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(request)
        except Again as again:
            raise again.error from None


class _Allowed(msgspec.Struct):
    allowed: bool = False


class _Review(msgspec.Struct):
    status: _Allowed


class _Version(msgspec.Struct, rename="camel"):
    git_version: str


_REVIEW = msgspec.json.Decoder(_Review)
_VERSION = msgspec.json.Decoder(_Version)


def decoded(answer: Answer, decoder: msgspec.json.Decoder[T], doing: Doing) -> T:
    """An answer's body as the fields that are wanted of it.

    Raises:
        ClusterUnreachable: it is not what Kubernetes documents (OutcomeUnknown after a write).
    """
    try:
        return decoder.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise translate.unreadable(doing, str(fault)) from None


def _object(answer: Answer, decoder: msgspec.json.Decoder[S], doing: Doing) -> S:
    found = decoded(answer, decoder, doing)
    if not found.metadata.uid:
        raise translate.unreadable(doing, "it has no uid")
    return found


def _paging(token: str, expirations: int) -> list[tuple[str, str]]:
    if token:
        return [("limit", str(PAGE_SIZE)), ("continue", token)]
    # Expired twice and no token to go on with: the list has to come in one piece.
    return [] if expirations > 1 else [("limit", str(PAGE_SIZE))]


def _after_expiry(target: Target, expired: Expired, expirations: int) -> str:
    """What Kubernetes offers after a 410: start over, or take the inconsistent rest by its token.

    Starting over once is enough: a list that expires twice is so long that it always would.
    """
    if expirations > ATTEMPTS:
        raise ClusterUnreachable(f"cannot list {target}: it expires before it is read")
    return expired.token if expirations > 1 else ""


def _bearable(fault: BaseException, deadline: Deadline | None) -> bool:
    if not isinstance(fault, Again) or fault.pause > LONGEST_PAUSE:
        return False
    return deadline is None or fault.pause.total_seconds() < deadline.rest


def _wait(state: tenacity.RetryCallState) -> float:
    fault = state.outcome.exception() if state.outcome else None
    asked = fault.pause.total_seconds() if isinstance(fault, Again) else 0.0
    return max(asked, 0.25 * float(2 ** (state.attempt_number - 1)))
