"""Asks the API server which resources it serves: only then does a 404 prove that there is none.

Source: `/apis` (APIGroupList, k8s.io/kube-aggregator/pkg/apiserver/handler_apis.go) and
`/apis/<group>/<version>` (APIResourceList). The groups of custom resources are stored (as APIServices),
so an API server that starts lists them before it serves their paths. Every ServiceAccount may read both
(ClusterRole system:discovery).
"""

from typing import Literal, Protocol, TypeVar

import msgspec

from bot.edges.kube.targets import Target
from bot.edges.kube.wire import Wire
from bot.errors import ClusterUnreachable

ALWAYS = "apps"
"""A group that every API server has: a list without it comes from one that has not read its groups yet."""

T = TypeVar("T")


class Ask(Protocol):
    """Reads one path of the API server."""

    def __call__(self, path: str, decoder: msgspec.json.Decoder[T]) -> T:
        """The answer, decoded.

        Raises:
            ClusterError: there is none, or it is not what was asked for.
        """


class _Version(Wire, frozen=True):
    version: str


class _Group(Wire, frozen=True):
    name: str
    versions: list[_Version] | None


class _Groups(Wire, frozen=True):
    kind: Literal["APIGroupList"]
    groups: list[_Group] | None


class _Resource(Wire, frozen=True):
    name: str


class _Resources(Wire, frozen=True):
    kind: Literal["APIResourceList"]
    resources: list[_Resource] | None


_GROUPS = msgspec.json.Decoder(_Groups)
_RESOURCES = msgspec.json.Decoder(_Resources)


def served_versions(ask: Ask, target: Target) -> tuple[str, ...]:
    """The versions in which a cluster has a resource; empty: it has none of that kind, in any version.

    Raises:
        ClusterError: it cannot be told.
    """
    versions = _versions(ask, target.group) if target.group else (target.version,)
    return tuple(each for each in versions if _has(ask, target.in_version(each)))


def _versions(ask: Ask, group: str) -> tuple[str, ...]:
    groups = {each.name: each.versions or [] for each in ask("/apis", _GROUPS).groups or []}
    if ALWAYS not in groups:
        raise ClusterUnreachable("the API server does not list its groups yet")
    return tuple(each.version for each in groups.get(group, []))


def _has(ask: Ask, target: Target) -> bool:
    found = ask(target.root, _RESOURCES).resources or []
    return any(each.name == target.resource for each in found)
