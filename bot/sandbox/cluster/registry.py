"""The write path of the API: create, update, patch and delete with the rules that all kinds share.

Source: ``k8s.io/apiserver/pkg/registry/generic/registry/store.go``.
"""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

from bot.sandbox.cluster import validation
from bot.sandbox.cluster.age import Age
from bot.sandbox.cluster.objects import Json, copy_of, encode, key_of, meta, name_of, namespace_of, stamp
from bot.sandbox.cluster.ownership import Writer, with_writer
from bot.sandbox.cluster.patching import PatchType, patched
from bot.sandbox.cluster.resources import NAMESPACES, PODS, REPLICA_SETS, Resource
from bot.sandbox.cluster.status import (
    ApiError,
    already_exists,
    bad_request,
    cause,
    conflict,
    immutable_field,
    invalid,
    not_found,
    terminating,
    unmet,
)
from bot.sandbox.cluster.store import Store, Stored

_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"  # what generateName appends from
_FIRST_STATUS: dict[Resource, Json] = {
    NAMESPACES: {"phase": "Active"},
    PODS: {"phase": "Pending"},
    REPLICA_SETS: {"replicas": 0},
}
_KEPT = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Which object a request is about."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def key(self) -> str:
        """Its key in the store."""
        return key_of(self.namespace, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """How a write is meant."""

    manager: str = "sandbox"
    dry_run: bool = False


_PLAIN = Intent()


class Registry:
    """Everything that writes to the store goes through here, the stand-in's own controllers too."""

    def __init__(
        self, store: Store, *, now: Callable[[], datetime], random: Random, age: Age | None = None
    ) -> None:
        self.store = store
        self._age = age or Age()
        self._now = now
        self._random = random

    def get(self, address: Address) -> Stored:
        """The current version.

        Raises:
            ApiError: 404.
        """
        found = self.store.get(address.resource, address.key)
        if found is None:
            raise not_found(address.resource, address.name)
        return found

    def create(self, address: Address, body: Json, intent: Intent = _PLAIN) -> Stored:
        """Store a new object.

        Raises:
            ApiError: 400, 403 (namespace going), 404 (namespace absent), 409, 422.
        """
        resource = address.resource
        value = self._typed(resource, validation.decoded(resource, copy_of(body)))
        _check_place(address, value)
        self._name(value)
        self._check_namespace(address, name_of(value))
        validation.check(resource, value, None)
        if self.store.get(resource, key_of(address.namespace, name_of(value))):
            raise already_exists(resource, name_of(value))
        self._birth(address, value)
        return self._keep(resource, self._signed(value, None, self._writer(intent)), intent)

    def update(self, address: Address, body: Json, intent: Intent = _PLAIN) -> Stored:
        """Replace an object by ``body``, which names the version it was made from.

        Raises:
            ApiError: 400, 404, 409 if the version is stale, 422.
        """
        if address.name != name_of(body):
            raise _other_name(address, body)
        old = self.store.get(address.resource, address.key)
        if old is None and address.resource.upsert:
            return self.create(address, body, intent)
        old = self.get(address)
        if not (meta(body).get("resourceVersion") or address.resource.blind_update):
            text = "Invalid value: 0: must be specified for an update"
            raise invalid(address.resource, address.name, cause("metadata.resourceVersion", text))
        return self._replace(address, old, copy_of(body), intent)

    def patch(self, address: Address, patch: Any, kind: PatchType, intent: Intent = _PLAIN) -> Stored:
        """Change parts of an object; a ``resourceVersion`` in the patch is a condition.

        Raises:
            ApiError: 400, 404, 409, 415, 422.
        """
        if address.resource.custom and kind is PatchType.STRATEGIC:
            text = "the body of the request was in an unknown format - accepted media types include: "
            raise ApiError(415, f"{text}{PatchType.JSON}, {PatchType.MERGE}")
        old = self.get(address)
        value = patched(old.value, patch, kind)
        if name_of(value) != address.name:
            raise _other_name(address, value)
        if meta(value).get("uid") != meta(old.value)["uid"]:
            fault = immutable_field("metadata.uid", str(meta(value).get("uid")))
            raise invalid(address.resource, address.name, fault)
        try:
            return self._replace(address, old, copy_of(value), intent)
        except ApiError as error:
            raise _as_patch_fault(error, value) from error

    def _replace(self, address: Address, old: Stored, value: Json, intent: Intent) -> Stored:
        resource = address.resource
        value = self._typed(resource, validation.decoded(resource, value))
        _check_place(address, value)
        _check_version(address, old.value, value)
        value = _carried_over(address, old.value, value)
        validation.check(resource, value, old.value)
        if _same(value, old.value):
            return old  # as upstream: writing what is there is no write
        if resource.counts_generations and _changes_spec(value, old.value):
            value["metadata"]["generation"] = meta(old.value).get("generation", 1) + 1
        value = self._signed(value, old.value, self._writer(intent, address.subresource))
        return self._keep(resource, value, intent, old)

    def delete(self, address: Address, *, options: Json | None = None, dry_run: bool = False) -> Stored:
        """Delete an object; pods and namespaces only begin to go, their controllers finish it.

        Raises:
            ApiError: 404, 409 if a precondition of ``options`` does not hold.
        """
        old = self.get(address)
        _check_preconditions(address, old.value, (options or {}).get("preconditions") or {})
        if dry_run:
            return old
        grace = (options or {}).get("gracePeriodSeconds")
        if address.resource in (PODS, NAMESPACES) and grace != 0:
            return self._begin_deletion(old, 30 if grace is None else grace)
        self.store.remove(address.resource, old.key)
        return old

    def _begin_deletion(self, old: Stored, grace: int) -> Stored:
        if meta(old.value).get("deletionTimestamp"):
            return old
        value = copy_of(old.value)
        value["metadata"]["deletionTimestamp"] = stamp(self._now())
        if old.resource is NAMESPACES:
            value.setdefault("status", {})["phase"] = "Terminating"
        else:
            value["metadata"]["deletionGracePeriodSeconds"] = grace
        return self.store.put(old.resource, value)

    def _typed(self, resource: Resource, value: Json) -> Json:
        head = {"apiVersion": resource.group_version, "kind": resource.kind}
        if any(value.get(key) not in (None, wanted) for key, wanted in head.items()):
            text = f'{value.get("kind")} in version "{value.get("apiVersion")}" cannot be handled as a '
            text += f"{resource.kind}: unknown conversion"
            raise bad_request(text)
        unknown = () if self._age.locks_secrets else ("immutable",)
        return {**head, **{key: each for key, each in value.items() if key not in (*head, *unknown)}}

    def _name(self, value: Json) -> None:
        metadata = value.setdefault("metadata", {})
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + self.suffix()

    def suffix(self, length: int = 5) -> str:
        """Letters as the API server appends to generated names."""
        return "".join(self._random.choice(_SUFFIX) for _ in range(length))

    def _check_namespace(self, address: Address, name: str) -> None:
        if not address.resource.namespaced:
            return
        home = self.store.get(NAMESPACES, address.namespace)
        if home is None:
            raise not_found(NAMESPACES, address.namespace)
        if validation.terminating(address.resource, home.value):
            raise terminating(address.resource, name, address.namespace)

    def _birth(self, address: Address, value: Json) -> None:
        if address.resource.has_status:
            value["status"] = dict(_FIRST_STATUS.get(address.resource, {}))
        if address.resource is NAMESPACES and self._age.labels_namespaces:
            value["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = name_of(value)
        metadata = value["metadata"]
        metadata.pop("resourceVersion", None)
        metadata["uid"] = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        metadata["creationTimestamp"] = stamp(self._now())
        if address.namespace:
            metadata["namespace"] = address.namespace
        if address.resource.counts_generations:
            metadata["generation"] = 1

    def _signed(self, new: Json, old: Json | None, writer: Writer) -> Json:
        return with_writer(new, old, writer) if self._age.tells_writers else new

    def _writer(self, intent: Intent, subresource: str = "") -> Writer:
        return Writer(manager=intent.manager, at=self._now(), subresource=subresource)

    def _keep(self, resource: Resource, value: Json, intent: Intent, old: Stored | None = None) -> Stored:
        if not intent.dry_run:
            return self.store.put(resource, value)
        if old is not None:
            value["metadata"]["resourceVersion"] = meta(old.value)["resourceVersion"]
        return Stored(resource, value, 0)


def _other_name(address: Address, value: Json) -> ApiError:
    text = f"the name of the object ({name_of(value)}) does not match the name on the URL ({address.name})"
    return bad_request(text)


def _check_place(address: Address, value: Json) -> None:
    if namespace_of(value) not in ("", address.namespace):
        text = "the namespace of the provided object does not match the namespace sent on the request"
        raise bad_request(text)


def _check_version(address: Address, old: Json, new: Json) -> None:
    seen = meta(new).get("resourceVersion")
    if seen and seen != meta(old)["resourceVersion"]:
        raise conflict(address.resource, address.name)
    uid = meta(new).get("uid")
    if uid and uid != meta(old)["uid"]:
        text = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {meta(old)['uid']}"
        raise conflict(address.resource, address.name, text)


def _check_preconditions(address: Address, old: Json, wanted: Json) -> None:
    fields = (
        ("uid", "UID", "deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", "modified"),
    )
    for field, label, fate in fields:
        if wanted.get(field) and wanted[field] != meta(old)[field]:
            text = f"the {label} in the precondition ({wanted[field]}) does not match the {label} in record"
            text += f" ({meta(old)[field]}). The object might have been {fate}"
            raise unmet(address.resource, address.name, text)


def _carried_over(address: Address, old: Json, new: Json) -> Json:
    """What a writer may not change, put back; a status and the rest are written by different doors."""
    if address.subresource == "status":
        new = {**copy_of(old), "status": new.get("status") or {}}
    elif address.resource.has_status:
        new.pop("status", None)
        new |= {"status": copy_of(old["status"])} if "status" in old else {}
    metadata = new["metadata"]
    for field in _KEPT:
        metadata.pop(field, None)
        if field in meta(old):
            metadata[field] = meta(old)[field]
    metadata |= {"name": name_of(old)} | ({"namespace": namespace_of(old)} if namespace_of(old) else {})
    return new


def _same(new: Json, old: Json) -> bool:
    unseen = ("managedFields", "resourceVersion")
    mine = {key: each for key, each in meta(new).items() if key not in unseen}
    theirs = {key: each for key, each in meta(old).items() if key not in unseen}
    return mine == theirs and {**new, "metadata": {}} == {**old, "metadata": {}}


def _changes_spec(new: Json, old: Json) -> bool:
    aside: Json = {"metadata": {}, "status": {}}
    return {**new, **aside} != {**old, **aside}


def _as_patch_fault(error: ApiError, value: Json) -> ApiError:
    """A patch whose result cannot be decoded: the real message quotes the whole object, secrets and all."""
    if "cannot be handled as" not in error.message:
        return error
    why = error.message.rsplit(": ", 1)[-1]
    quoted = json.dumps(encode(dict(sorted(value.items()))).decode())
    text = f"Invalid value: {quoted}: {why}"
    return ApiError(422, f' "" is invalid: patch: {text}', details={"causes": [cause("patch", text)]})
