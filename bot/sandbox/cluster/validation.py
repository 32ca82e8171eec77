"""What an API server checks and fills in for the kinds whose rules matter to a rotation."""

import base64
import json
import re
from collections.abc import Callable

from bot.sandbox.cluster.objects import Json, meta, name_of, path
from bot.sandbox.cluster.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    NAMESPACES,
    SECRETS,
    Resource,
)
from bot.sandbox.cluster.selectors import selects
from bot.sandbox.cluster.status import (
    ApiError,
    bad_request,
    cause,
    forbidden_field,
    immutable_field,
    invalid,
)

_MAX_DATA = 1_048_576  # bytes of all values of a Secret or ConfigMap
_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_DATA_KEY = re.compile(r"^[-._a-zA-Z0-9]+$")
_ALPHABET = re.compile(rb"[A-Za-z0-9+/=\r\n]")


def decoded(resource: Resource, value: Json) -> Json:
    """The object as the server's Go types would hold it: wrong shapes refused, defaults filled in.

    Raises:
        ApiError: 400, in the words of the Go decoder.
    """
    if resource is SECRETS:
        return _decoded_secret(value)
    if resource is CONFIG_MAPS:
        _strings(value, "ConfigMap")
    if resource is DEPLOYMENTS:
        return _decoded_deployment(value)
    return value


def _decoded_secret(value: Json) -> Json:
    data = value.get("data")
    if data is not None and not isinstance(data, dict):
        text = "json: cannot unmarshal string into Go struct field Secret.data of type map[string][]uint8"
        raise _undecodable("Secret", text)
    for text in (data or {}).values():
        _check_base64(text)
    for key, text in (value.pop("stringData", None) or {}).items():
        data = {**(data or {}), key: base64.b64encode(text.encode()).decode()}
    result = {key: each for key, each in value.items() if key != "data"}
    if data:
        result["data"] = {key: "" if text is None else text for key, text in data.items()}
    result["type"] = value.get("type") or "Opaque"
    return result


def _check_base64(text: object) -> None:
    if text is None:
        return
    if not isinstance(text, str):
        raise _undecodable("Secret", "json: cannot unmarshal number into Go struct field Secret.data")
    try:
        base64.b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
    except ValueError:
        raise _undecodable("Secret", f"illegal base64 data at input byte {_first_bad(text)}") from None


def _first_bad(text: str) -> int:
    raw = text.encode()
    return next((i for i in range(len(raw)) if not _ALPHABET.match(raw[i : i + 1])), len(raw))


def _strings(value: Json, kind: str) -> None:
    for each in (value.get("data") or {}).values():
        if not isinstance(each, str):
            text = f"json: cannot unmarshal number into Go struct field {kind}.data of type string"
            raise _undecodable(kind, text)


def _undecodable(kind: str, why: str) -> ApiError:
    return bad_request(f'{kind} in version "v1" cannot be handled as a {kind}: {why}')


def _decoded_deployment(value: Json) -> Json:
    spec = value.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    return value


def check(resource: Resource, new: Json, old: Json | None) -> None:
    """Refuse an object that breaks the rules of its kind; ``old`` is None at creation.

    Raises:
        ApiError: 422 with every broken rule.
    """
    broken = _name_faults(resource, new) if old is None else []
    if rule := _RULES.get(resource):
        broken += rule(new, old)
    if broken:
        raise invalid(resource, name_of(new), *broken)


def _name_faults(resource: Resource, new: Json) -> list[Json]:
    name = name_of(new)
    if not name:
        text = "Required value: name or generateName is required"
        return [cause("metadata.name", text, reason="FieldValueRequired")]
    if resource.group.startswith("rbac.") or (_NAME.match(name) and len(name) <= 253):
        return []
    return [cause("metadata.name", f'Invalid value: "{name}": {_SUBDOMAIN}')]


def _secret_faults(new: Json, old: Json | None) -> list[Json]:
    faults = _data_faults(new)
    if old is None:
        return faults
    if new["type"] != old["type"]:
        faults.append(immutable_field("type", new["type"]))
    return faults + _frozen_faults(new, old)


def _frozen_faults(new: Json, old: Json) -> list[Json]:
    if not old.get("immutable"):
        return []
    why = "field is immutable when `immutable` is set"
    faults = [] if new.get("immutable") else [forbidden_field("immutable", why)]
    if (new.get("data") or {}) != (old.get("data") or {}):
        faults.append(forbidden_field("data", why))
    return faults


def _data_faults(new: Json) -> list[Json]:
    data: dict[str, str] = new.get("data") or {}
    bad = [key for key in data if not _DATA_KEY.match(key)]
    text = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  "
    text += "or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
    faults = [cause(f"data[{key}]", f'Invalid value: "{key}": {text}') for key in bad]
    if sum(map(len, data.values())) * 3 // 4 > _MAX_DATA:
        text = f"Too long: may not be more than {_MAX_DATA} bytes"
        faults.append(cause("data", text, reason="FieldValueTooLong"))
    return faults


def _config_map_faults(new: Json, old: Json | None) -> list[Json]:
    return _data_faults(new) + ([] if old is None else _frozen_faults(new, old))


def _deployment_faults(new: Json, old: Json | None) -> list[Json]:
    selector = path(new, "spec", "selector")
    labels = path(new, "spec", "template", "metadata", "labels") or {}
    if not selector:
        return [cause("spec.selector", "Required value", reason="FieldValueRequired")]
    faults = []
    if not selects(selector, labels):
        shown = json.dumps(labels, separators=(",", ":"))
        text = f"Invalid value: {shown}: `selector` does not match template `labels`"
        faults.append(cause("spec.template.metadata.labels", text))
    if old is not None and path(old, "spec", "selector") != selector:
        text = f"Invalid value: {json.dumps(selector, separators=(',', ':'))}: field is immutable"
        faults.append(cause("spec.selector", text))
    return faults


_RULES: dict[Resource, Callable[[Json, Json | None], list[Json]]] = {
    SECRETS: _secret_faults,
    CONFIG_MAPS: _config_map_faults,
    DEPLOYMENTS: _deployment_faults,
}


def terminating(resource: Resource, namespace: Json | None) -> bool:
    """Is the namespace on its way out, so that nothing new may be created in it?"""
    return resource is not NAMESPACES and bool(namespace and meta(namespace).get("deletionTimestamp"))
