"""What a client asks before it asks for objects: versions, groups, resources, health."""

from bot.sandbox.cluster.age import Age
from bot.sandbox.cluster.objects import Json
from bot.sandbox.cluster.resources import TABLE, Resource

_VERBS = ["create", "delete", "get", "list", "patch", "update"]


def discovered(path: str, age: Age) -> Json | str | None:
    """The answer for a discovery path, None if it is none."""
    match path.strip("/").split("/"):
        case ["version"]:
            return _version(age.version)
        case ["healthz" | "livez" | "readyz"]:
            return "ok"
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["apis"]:
            rows = [row for row in TABLE if age.knows(row) and age.versions(row.group)]
            groups = sorted({row.group for row in rows if row.group})
            return {
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": [_group(each, age) for each in groups],
            }
        case ["apis", group]:
            found = any(row.group == group and age.knows(row) for row in TABLE) and age.versions(group)
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, age)} if found else None
        case ["api", version]:
            return _resources("", version, age)
        case ["apis", group, version]:
            return _resources(group, version, age)
        case _:
            return None


def _version(version: str) -> Json:
    major, minor, *_ = version.removeprefix("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": version,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "2026-08-13T00:00:00Z",
        "goVersion": "go1.26.0",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def _group(group: str, age: Age) -> Json:
    named = [{"groupVersion": f"{group}/{each}", "version": each} for each in age.versions(group)]
    return {"name": group, "versions": named, "preferredVersion": named[0]}


def _resources(group: str, version: str, age: Age) -> Json | None:
    kept = age.kept_as(group, version)
    known = [row for row in TABLE if kept and age.knows(row)]
    rows = [row for row in known if (row.group, row.version) == (group, kept)]
    if not rows:
        return None
    listed = [each for row in rows for each in _described(row)]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
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
