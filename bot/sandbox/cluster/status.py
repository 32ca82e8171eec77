"""The refusals of an API server, in Kubernetes' own words and shapes.

Source: ``k8s.io/apimachinery/pkg/api/errors/errors.go``. Programs (and people) read these texts, so they
are kept to the letter.
"""

from bot.sandbox.cluster.objects import Json
from bot.sandbox.cluster.resources import Resource

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class ApiError(Exception):
    """A request that is answered with a ``Status`` of failure."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        reason: str | None = None,
        details: Json | None = None,
        metadata: Json | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason if reason is not None else _REASONS.get(code, "")
        self.details = details
        self.metadata = metadata or {}

    def body(self) -> Json:
        """The ``Status`` object, with the fields in the order of the real one."""
        status: Json = {"kind": "Status", "apiVersion": "v1", "metadata": self.metadata, "status": "Failure"}
        status["message"] = self.message
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        return status | {"code": self.code}


def _details(resource: Resource, name: str, **more: object) -> Json:
    details: Json = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    return details | {"kind": resource.plural} | more


def not_found(resource: Resource, name: str) -> ApiError:
    """404: no such object."""
    return ApiError(404, f'{resource.qualified} "{name}" not found', details=_details(resource, name))


def no_such_path() -> ApiError:
    """404: a known API group without that resource."""
    return ApiError(404, "the server could not find the requested resource", details={})


def already_exists(resource: Resource, name: str) -> ApiError:
    """409 to a create of what is there."""
    message = f'{resource.qualified} "{name}" already exists'
    return ApiError(409, message, reason="AlreadyExists", details=_details(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> ApiError:
    """409: the writer had seen another version of the object."""
    why = why or (
        "the object has been modified; please apply your changes to the latest version and try again"
    )
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return ApiError(409, message, details=_details(resource, name))


def invalid(resource: Resource, name: str, *causes: Json) -> ApiError:
    """422: the object breaks rules of its kind; see :func:`cause`."""
    texts = [f"{each['field']}: {each['message']}" for each in causes]
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    fields: Json = {"name": name, "group": resource.group, "kind": resource.kind, "causes": list(causes)}
    details = {key: each for key, each in fields.items() if each}
    return ApiError(422, f'{resource.qualified_kind} "{name}" is invalid: {text}', details=details)


def cause(field: str, message: str, *, reason: str = "FieldValueInvalid") -> Json:
    """One broken rule of an object."""
    return {"reason": reason, "message": message, "field": field}


def immutable_field(field: str, value: str) -> Json:
    """The rule that this field never changes."""
    return cause(field, f'Invalid value: "{value}": field is immutable')


def forbidden_field(field: str, why: str) -> Json:
    """The rule that this field may not be set now."""
    return cause(field, f"Forbidden: {why}", reason="FieldValueForbidden")


def forbidden(resource: Resource, name: str, why: str) -> ApiError:
    """403, by RBAC or by an admission plugin."""
    quoted = f' "{name}"' if name else ""
    message = f"{resource.qualified}{quoted} is forbidden: {why}"
    return ApiError(403, message, details=_details(resource, name))


def expired_list(token: str) -> ApiError:
    """410: the continue token's version has been compacted; ``token`` goes on without consistency."""
    message = (
        "The provided continue parameter is too old to display a consistent list result. You can start a new "
        "list without the continue parameter, or use the continue token in this response to retrieve the "
        "remainder of the results. Continuing with the provided token results in an inconsistent list - "
        "objects that were created, modified, or deleted between the time the first chunk was returned and "
        "now may show up in the list."
    )
    return ApiError(410, message, metadata={"continue": token})


def terminating(resource: Resource, name: str, namespace: str) -> ApiError:
    """403: nothing is created any more in a namespace that goes."""
    text = f"unable to create new content in namespace {namespace} because it is being terminated"
    error = forbidden(resource, name, text)
    why = cause(
        "metadata.namespace", f"namespace {namespace} is being terminated", reason="NamespaceTerminating"
    )
    error.details = {**(error.details or {}), "causes": [why]}
    return error


def unmet(resource: Resource, name: str, why: str) -> ApiError:
    """409: a precondition of a deletion does not hold (named by kind, not by plural)."""
    error = conflict(resource, name, why)
    error.message = error.message.replace(f' {resource.qualified} "', f' {resource.qualified_kind} "', 1)
    error.details = {"name": name, "kind": resource.kind}
    return error


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, message)


def injected(code: int, *, message: str, retry_after: int | None) -> ApiError:
    """A failure that a test asked for."""
    text = message or _INJECTED.get(code, f"injected failure {code}")
    details: Json | None = {"retryAfterSeconds": retry_after} if retry_after is not None else None
    return ApiError(code, text, details=details)


_INJECTED = {
    401: "Unauthorized",
    404: "the server could not find the requested resource",
    410: "The resourceVersion for the provided list is too old.",
    429: "Too many requests, please try again later.",
    500: "Internal error occurred: etcdserver: request timed out",
    503: "apiserver is shutting down",
}
