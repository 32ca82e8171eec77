"""The three kinds of patch: JSON merge (RFC 7386), JSON patch (RFC 6902) and strategic merge.

Strategic merge knows the merge keys of the lists that the mesh's objects have; other lists are replaced.
"""

from enum import StrEnum
from typing import Any

from bot.sandbox.cluster.objects import Json, copy_of
from bot.sandbox.cluster.status import ApiError, bad_request


class PatchType(StrEnum):
    """By content type."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"


# Source: the patchMergeKey tags of k8s.io/api; a list of that name merges by the first key its items have.
_MERGE_KEYS = {
    "containers": ("name",),
    "initContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "volumeMounts": ("mountPath",),
    "conditions": ("type",),
    "containerStatuses": ("name",),
    "ownerReferences": ("uid",),
    "webhooks": ("name",),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
    "tolerations": (),
    "ports": ("containerPort", "port"),
}
_SETS = frozenset({"finalizers"})


def patched(value: Json, patch: Any, kind: PatchType) -> Json:
    """A new object: ``value`` with ``patch`` applied.

    Raises:
        ApiError: 400 for a patch that is no patch, 422 for one that cannot be applied.
    """
    if kind is PatchType.JSON:
        return _json_patched(value, patch)
    if not isinstance(patch, dict):
        raise bad_request("json: cannot unmarshal array into Go value of type map[string]interface {}")
    if kind is PatchType.MERGE:
        return dict(_merged(copy_of(value), patch))
    return _strategic(copy_of(value), patch)


def _merged(value: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = value if isinstance(value, dict) else {}
    for key, each in patch.items():
        if each is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), each)
    return result


def _strategic(value: Any, patch: Json) -> Json:
    result: Json = value if isinstance(value, dict) else {}
    if patch.get("$patch") == "replace":
        return {key: each for key, each in patch.items() if key != "$patch"}
    for key, each in patch.items():
        if key.startswith("$"):
            continue
        if each is None:
            result.pop(key, None)
        else:
            result[key] = _strategic_value(key, result.get(key), each)
    return result


def _strategic_value(key: str, value: Any, patch: Any) -> Any:
    if isinstance(patch, dict):
        return _strategic(value, patch)
    if not isinstance(patch, list) or not isinstance(value, list):
        return [_without_directives(each) for each in patch] if isinstance(patch, list) else patch
    if key in _SETS:
        return value + [each for each in patch if each not in value]
    if merge_key := _merge_key(key, patch):
        return _merged_list(value, patch, merge_key)
    return patch


def _without_directives(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: each for key, each in value.items() if not key.startswith("$")}


def _merge_key(key: str, patch: list[Any]) -> str:
    for candidate in _MERGE_KEYS.get(key, ()):
        if all(isinstance(each, dict) and candidate in each for each in patch):
            return candidate
    return ""


def _merged_list(value: list[Any], patch: list[Any], key: str) -> list[Any]:
    result = list(value)
    for each in patch:
        at = next((i for i, old in enumerate(result) if old.get(key) == each[key]), None)
        if each.get("$patch") == "delete":
            if at is not None:
                del result[at]
        elif at is None:
            result.append(_without_directives(each))
        else:
            result[at] = _strategic(result[at], each)
    return result


def _json_patched(value: Json, patch: Any) -> Json:
    if not isinstance(patch, list) or not all(isinstance(each, dict) for each in patch):
        text = "json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
        raise bad_request(f"error decoding patch: {text}")
    document: Any = {"": copy_of(value)}
    for operation in patch:
        try:
            _operate(document, operation)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise _unapplied() from error
    return dict(document[""])


def _unapplied() -> ApiError:
    return ApiError(422, "the server rejected our request due to an error in our request", details={})


def _operate(document: Any, operation: Json) -> None:
    word, pointer = operation["op"], _steps(operation["path"])
    match word:
        case "add":
            _add(document, pointer, operation["value"])
        case "replace":
            _replace(document, pointer, operation["value"])
        case "remove":
            _take(document, pointer)
        case "test":
            _test(document, pointer, operation.get("value"))
        case "move":
            _add(document, pointer, _take(document, _steps(operation["from"])))
        case "copy":
            _add(document, pointer, copy_of(_look(document, _steps(operation["from"]))))
        case _:
            raise ValueError(f"unexpected kind: {word}")


def _steps(pointer: str) -> list[str]:
    # The document stands under "" of a wrapper, so that the pointer "" has a parent like any other.
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")]


def _look(document: Any, steps: list[str]) -> Any:
    for step in steps:
        document = document[int(step)] if isinstance(document, list) else document[step]
    return document


def _add(document: Any, steps: list[str], value: Any) -> None:
    parent, last = _look(document, steps[:-1]), steps[-1]
    if isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else int(last), value)
    else:
        parent[last] = value


def _replace(document: Any, steps: list[str], value: Any) -> None:
    # As upstream's library is set up: what is missing in an object is added.
    if isinstance(_look(document, steps[:-1]), list):
        _take(document, steps)
    _add(document, steps, value)


def _take(document: Any, steps: list[str]) -> Any:
    parent, last = _look(document, steps[:-1]), steps[-1]
    return parent.pop(int(last)) if isinstance(parent, list) else parent.pop(last)


def _test(document: Any, steps: list[str], value: Any) -> None:
    try:
        found = _look(document, steps)
    except KeyError:
        found = None
    if found != value:
        raise ValueError(f"testing value {'/'.join(steps)} failed: test failed")
