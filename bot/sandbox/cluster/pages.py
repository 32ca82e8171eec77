"""Lists in pages: ``limit`` and ``continue`` over one consistent snapshot.

Source: ``k8s.io/apiserver/pkg/storage/continue.go``.
"""

import base64
import binascii
import json
from bisect import bisect_left
from dataclasses import dataclass

from bot.sandbox.cluster.objects import encode
from bot.sandbox.cluster.resources import Resource
from bot.sandbox.cluster.selectors import tests_of
from bot.sandbox.cluster.status import bad_request, expired_list
from bot.sandbox.cluster.store import Store, Stored

_LATEST = -1  # the revision in a token that gave up consistency


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a list request asks for; ``namespace`` empty means everywhere."""

    resource: Resource
    namespace: str = ""
    labels: str = ""
    fields: str = ""
    limit: int = 0
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One answer; ``left`` is None where the server would not say."""

    found: list[Stored]
    revision: int
    token: str = ""
    left: int | None = None

    def body(self, resource: Resource, *, metadata_only: bool, headless: bool = False) -> bytes:
        """The list's JSON, joined from the objects' cached bytes; ``headless``: without metadata of its own."""
        head: dict[str, object] = {"resourceVersion": str(self.revision)}
        if self.token:
            head["continue"] = self.token
        if self.left is not None:
            head["remainingItemCount"] = self.left
        kind = f'"kind":"{resource.kind}List","apiVersion":"{resource.group_version}"'
        if metadata_only:
            kind = '"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1"'
        items = [each.metadata() if metadata_only else each.item() for each in self.found]
        own = b"" if headless else b',"metadata":' + encode(head)
        front = f"{{{kind}".encode() + own + b',"items":['
        return front + b",".join(items) + b"]}\n"


def page(store: Store, query: Query) -> Page:
    """Answer ``query`` from the current state or, with a token, from the state the token began with.

    Raises:
        ApiError: 400 for a bad token or selector, 410 for a token that is too old.
    """
    if query.token:
        revision, start = _decode(query.token)
        found = _snapshot(store, query, revision, start)
    else:
        revision, start = store.revision, ""
        found = _matching(store, query)
    if revision == _LATEST:
        revision = store.revision
    return _cut(store, query, revision=revision, start=start, found=found)


def _matching(store: Store, query: Query) -> list[Stored]:
    tests = tests_of(query.resource, labels=query.labels, fields=query.fields)
    every = store.scan(query.resource, query.namespace)
    if not tests:
        return list(every)
    return [each for each in every if all(test(each.value) for test in tests)]


def _snapshot(store: Store, query: Query, revision: int, start: str) -> list[Stored]:
    if revision == _LATEST:
        return _matching(store, query)
    found = store.recall(_ticket(query, revision))
    if found is None:
        raise expired_list(_encode(_LATEST, start))
    return found


def _cut(store: Store, query: Query, *, revision: int, start: str, found: list[Stored]) -> Page:
    first = bisect_left(found, start, key=lambda each: each.key) if start else 0
    rest = len(found) - first
    if not 0 < query.limit < rest:
        return Page(found=found[first:], revision=revision)
    end = first + query.limit
    store.remember(_ticket(query, revision), found)
    # The next page starts at the first key after the last one given.
    token = _encode(revision, found[end - 1].key + "\0")
    counted = not (query.labels or query.fields)
    return Page(
        found=found[first:end], revision=revision, token=token, left=len(found) - end if counted else None
    )


def _ticket(query: Query, revision: int) -> tuple[object, ...]:
    return (query.resource, query.namespace, query.labels, query.fields, revision)


def _encode(revision: int, start: str) -> str:
    token = encode({"v": "meta.k8s.io/v1", "rv": revision, "start": start})
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def _decode(token: str) -> tuple[int, str]:
    try:
        fields = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(fields["rv"]), str(fields["start"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from error
