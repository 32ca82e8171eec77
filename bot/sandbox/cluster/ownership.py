"""``metadata.managedFields``: who last wrote which field, for updates (not apply).

Kept as far as a reader needs it: maps to two levels, anything deeper as one field.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.sandbox.cluster.objects import Json, meta, stamp

_SYSTEM = frozenset(
    {
        "creationTimestamp",
        "generation",
        "managedFields",
        "name",
        "namespace",
        "resourceVersion",
        "uid",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    }
)

_MAPS = frozenset({"data", "labels", "annotations"})  # whose maker owns "." of them

Field = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Who writes, in the words of ``managedFields``."""

    manager: str
    at: datetime
    subresource: str = ""


def with_writer(new: Json, old: Json | None, writer: Writer) -> Json:
    """``new`` with its ``managedFields`` moved on by what differs from ``old``."""
    now, before = _fields(new, writer), _fields(old or {}, writer)
    changed = now ^ before | {each for each in now & before if _at(new, each) != _at(old, each)}
    entries = [_without(each, changed) for each in (meta(old).get("managedFields") or [] if old else [])]
    mine = next((each for each in entries if _is_mine(each, writer)), None)
    others = [each for each in entries if each is not mine and each["fieldsV1"]]
    owned = _tree({*_leaves((mine or {}).get("fieldsV1") or {}), *(changed & now)})
    if owned:
        others.append(_entry(writer, new, owned))
    new["metadata"]["managedFields"] = sorted(others, key=_place)
    return new


def _place(entry: Json) -> tuple[str, ...]:
    """Where the server puts an entry: by second and, within one, by the writer's name and not by who was last."""
    return tuple(entry.get(key, "") for key in ("operation", "time", "manager", "apiVersion", "subresource"))


def _entry(writer: Writer, value: Json, owned: Json) -> Json:
    entry: Json = {"manager": writer.manager, "operation": "Update", "apiVersion": value["apiVersion"]}
    entry |= {"time": stamp(writer.at), "fieldsType": "FieldsV1", "fieldsV1": owned}
    return entry | ({"subresource": writer.subresource} if writer.subresource else {})


def _is_mine(entry: Json, writer: Writer) -> bool:
    return bool(entry["manager"] == writer.manager and entry.get("subresource", "") == writer.subresource)


def _fields(value: Json, writer: Writer) -> set[Field]:
    if writer.subresource:
        return _branches({writer.subresource: value.get(writer.subresource) or {}})
    found = {("metadata", *field) for field in _branches(meta(value)) if field[0] not in _SYSTEM}
    aside = ("kind", "apiVersion", "metadata", "status")
    return found | _branches({key: each for key, each in value.items() if key not in aside})


def _branches(value: Json) -> set[Field]:
    found: set[Field] = set()
    for key, each in value.items():
        inner = (
            {(key, name) for name in ("." if key in _MAPS else "", *each)}
            if isinstance(each, dict)
            else {(key,)}
        )
        found |= inner - {(key, "")}
    return found


def _at(value: Any, field: Field) -> Any:
    for step in field:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _tree(fields: set[Field]) -> Json:
    tree: Json = {}
    for field in sorted(fields):
        branch = tree
        for step in field:
            branch = branch.setdefault("." if step == "." else f"f:{step}", {})
    return tree


def _leaves(tree: Json, above: Field = ()) -> set[Field]:
    found: set[Field] = set()
    for key, below in tree.items():
        field = (*above, key.removeprefix("f:"))
        found |= _leaves(below, field) if below else {field}
    return found


def _without(entry: Json, fields: set[Field]) -> Json:
    kept = _leaves(entry["fieldsV1"]) - fields
    return {**entry, "fieldsV1": _tree(kept)}
