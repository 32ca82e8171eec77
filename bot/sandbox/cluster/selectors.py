"""Label and field selectors, as ``?labelSelector=`` and ``?fieldSelector=`` carry them.

Source: ``k8s.io/apimachinery/pkg/labels/selector.go`` and ``fields/selector.go``.
"""

import re
from collections.abc import Callable

from bot.sandbox.cluster.objects import Json, labels_of, path
from bot.sandbox.cluster.resources import Resource
from bot.sandbox.cluster.status import bad_request

Test = Callable[[Json], bool]

_SET = re.compile(r"^([\w./-]+)\s+(in|notin)\s*\(([^()]*)\)$")
_EQUAL = re.compile(r"^([\w./-]+)\s*(==|=|!=)\s*([\w.-]*)$")
_EXISTS = re.compile(r"^(!?)\s*([\w./-]+)$")
_COMMA = re.compile(r",(?![^(]*\))")


def tests_of(resource: Resource, *, labels: str, fields: str) -> tuple[Test, ...]:
    """What an object must pass to be listed; empty selectors give no tests.

    Raises:
        ApiError: 400 for a selector that cannot be read or a field that is not indexed.
    """
    return (
        *(_label_test(part.strip()) for part in _COMMA.split(labels) if part.strip()),
        *(_field_test(resource, part) for part in fields.split(",") if part),
    )


def selects(selector: Json, labels: dict[str, str]) -> bool:
    """Does a ``metav1.LabelSelector`` with ``matchLabels`` choose these labels?"""
    return all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())


def _label_test(text: str) -> Test:
    if found := _SET.match(text):
        key, word, values = found.groups()
        return _membership(key, {each.strip() for each in values.split(",")}, wanted=word == "in")
    if found := _EQUAL.match(text):
        key, sign, value = found.groups()
        return _membership(key, {value}, wanted=sign != "!=")
    if found := _EXISTS.match(text):
        key = found[2]
        return (lambda it: key not in labels_of(it)) if found[1] else (lambda it: key in labels_of(it))
    word = text.rsplit(maxsplit=1)[-1]
    raise bad_request(f"unable to parse requirement: found '{word}', expected: in, notin, =, ==, !=, gt, lt")


def _membership(key: str, values: set[str], *, wanted: bool) -> Test:
    # An object without the label passes "notin" and "!=", as upstream.
    return lambda it: (labels_of(it).get(key) in values) is wanted


def _field_test(resource: Resource, text: str) -> Test:
    found = re.match(r"^([\w.]+)(==|=|!=)(.*)$", text)
    if found is None:
        raise bad_request(f"invalid selector: '{text}'; can't understand '{text}'")
    field, sign, value = found.groups()
    if field not in ("metadata.name", "metadata.namespace", *resource.fields):
        raise bad_request(f"field label not supported: {field}")
    keys = tuple(field.split("."))
    return lambda it: (str(path(it, *keys) or "") == value) is (sign != "!=")


def exact_name(fields: str) -> str:
    """The one name that a field selector allows, else empty.

    RBAC with ``resourceNames`` lets a list through only if it is narrowed so.
    """
    found = re.search(r"(?:^|,)metadata\.name==?([^,]+)", fields)
    return found[1] if found else ""
