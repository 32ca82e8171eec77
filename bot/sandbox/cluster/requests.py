"""A path and query of the Kubernetes API, read into a verb and an address."""

import json
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote

from bot.sandbox.cluster.age import Age
from bot.sandbox.cluster.pages import Query
from bot.sandbox.cluster.rbac import Act
from bot.sandbox.cluster.registry import Address
from bot.sandbox.cluster.resources import NAMESPACES, Resource, find
from bot.sandbox.cluster.selectors import exact_name
from bot.sandbox.cluster.status import ApiError, bad_request, cause, no_such_path

_VERBS = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_STREAMS = ("exec", "portforward")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request for objects."""

    verb: str
    address: Address
    query: dict[str, list[str]] = field(default_factory=dict)
    group_version: str = ""
    """As the client named it; an older one than the objects are kept in is answered in kind."""

    def first(self, name: str) -> str:
        """The first value of a query parameter, empty if absent."""
        return self.query.get(name, [""])[0]

    @property
    def dry_run(self) -> bool:
        """Is nothing to be stored?

        Raises:
            ApiError: 422 for anything but ``All``.
        """
        values = self.query.get("dryRun", [])
        if values not in ([], ["All"]):
            raise _bad_dry_run(self.verb, values)
        return bool(values)

    def act(self) -> Act:
        """The same, as an authorizer sees it."""
        resource = self.address.resource
        name = self.address.name
        if self.verb in ("list", "watch") and not name:
            name = exact_name(self.first("fieldSelector"))
        return Act(
            verb=self.verb,
            group=resource.group,
            resource=resource.plural,
            subresource=self.address.subresource,
            namespace=self.address.namespace,
            name=name,
        )

    def listing(self) -> Query:
        """The same, as a list reads it."""
        limit = self.first("limit")
        if limit and not limit.isdigit():
            raise bad_request(f'strconv.ParseInt: parsing "{limit}": invalid syntax')
        return Query(
            resource=self.address.resource,
            namespace=self.address.namespace,
            labels=self.first("labelSelector"),
            fields=self.first("fieldSelector"),
            limit=int(limit or 0),
            token=self.first("continue"),
        )


def _bad_dry_run(verb: str, values: list[str]) -> ApiError:
    kind = f"{verb.capitalize()}Options"
    text = f'Unsupported value: {json.dumps(values)}: supported values: "All"'
    details = {
        "group": "meta.k8s.io",
        "kind": kind,
        "causes": [cause("dryRun", text, reason="FieldValueNotSupported")],
    }
    return ApiError(422, f'{kind}.meta.k8s.io "" is invalid: dryRun: {text}', details=details)


def read_call(method: str, path: str, query: str, *, age: Age) -> Call | None:
    """The call for this request line; None where the path is no path of objects (404 page not found).

    Raises:
        ApiError: 404 for a resource that a served group does not have, 405 for a method that nothing takes.
    """
    steps = [unquote(step) for step in path.strip("/").split("/")]
    head = _head(steps, age)
    if head is None:
        return None
    group, version, rest = head
    address = _address(group, age.kept_as(group, version), rest)
    verb = _verb(method, address)
    parameters = parse_qs(query, keep_blank_values=True)
    if verb == "list" and parameters.get("watch", ["false"])[0] in ("true", "1"):
        verb = "watch"
    named = f"{group}/{version}" if group else version
    return Call(verb=verb, address=address, query=parameters, group_version=named)


def _head(steps: list[str], age: Age) -> tuple[str, str, list[str]] | None:
    match steps:
        case ["api", version, *rest] if rest and age.kept_as("", version):
            return "", version, rest
        case ["apis", group, version, *rest] if rest and age.kept_as(group, version):
            return group, version, rest
        case _:
            return None


def _address(group: str, version: str, rest: list[str]) -> Address:
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] != "status":
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource, *more = [*rest, "", "", ""]
    resource = find(group, version, plural)
    if resource is None or any(more) or not _fits(resource, namespace, name, subresource):
        raise no_such_path()
    return Address(resource=resource, namespace=namespace, name=name, subresource=subresource)


def _fits(resource: Resource, namespace: str, name: str, subresource: str) -> bool:
    if namespace and not resource.namespaced:
        return False
    if name and resource.namespaced and not namespace:
        return False
    return not subresource or subresource in resource.subresources or resource is NAMESPACES


def _verb(method: str, address: Address) -> str:
    verb = _VERBS.get(method, "")
    if address.subresource in _STREAMS and verb in ("get", "create"):
        # An upgrade comes as GET; since Kubernetes 1.35 it needs "create" like the POST form.
        return "create"
    if not address.name:
        verb = {"get": "list", "create": "create", "delete": "deletecollection"}.get(verb, "")
    elif verb == "create":
        verb = ""
    if not verb:
        raise ApiError(405, "the server does not allow this method on the requested resource", details={})
    return verb


def manager_of(call: Call, user_agent: str) -> str:
    """Who writes, for ``managedFields``: ``fieldManager``, else the user agent up to its first slash."""
    return (call.first("fieldManager") or user_agent.partition("/")[0] or "unknown")[:128]
