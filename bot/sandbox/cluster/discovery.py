"""What a client asks before it asks for objects: versions, groups, resources, health."""

from collections.abc import Sequence

from bot.sandbox.cluster.objects import Json
from bot.sandbox.cluster.resources import Resource

GIT_VERSION = "v1.37.2"  # as the project's test bed
_VERBS = ["create", "delete", "get", "list", "patch", "update"]


def discovered(path: str, table: Sequence[Resource]) -> Json | str | None:
    """The answer for a discovery path, None if it is none."""
    match path.strip("/").split("/"):
        case ["version"]:
            return _version()
        case ["healthz" | "livez" | "readyz"]:
            return "ok"
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["apis"]:
            groups = sorted({row.group for row in table if row.group})
            return {
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": [_group(each, table) for each in groups],
            }
        case ["apis", group]:
            found = any(row.group == group for row in table)
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, table)} if found else None
        case ["api", version]:
            return _resources("", version, table)
        case ["apis", group, version]:
            return _resources(group, version, table)
        case _:
            return None


def _version() -> Json:
    major, minor, _ = GIT_VERSION.removeprefix("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "2026-08-13T00:00:00Z",
        "goVersion": "go1.26.0",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def _group(group: str, table: Sequence[Resource]) -> Json:
    versions = sorted({row.version for row in table if row.group == group})
    named = [{"groupVersion": f"{group}/{each}", "version": each} for each in versions]
    return {"name": group, "versions": named, "preferredVersion": named[0]}


def _resources(group: str, version: str, table: Sequence[Resource]) -> Json | None:
    rows = [row for row in table if (row.group, row.version) == (group, version)]
    if not rows:
        return None
    listed = [each for row in rows for each in _described(row)]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": rows[0].group_version,
        "resources": listed,
    }


def _described(row: Resource) -> list[Json]:
    own: Json = {
        "name": row.plural,
        "singularName": row.kind.lower(),
        "namespaced": row.namespaced,
        "kind": row.kind,
        "verbs": _VERBS,
        "shortNames": list(row.short),
    }
    below = [
        {
            "name": f"{row.plural}/{each}",
            "singularName": "",
            "namespaced": row.namespaced,
            "kind": row.kind,
            "verbs": ["create", "get"],
        }
        for each in row.subresources
    ]
    return [own, *below]
