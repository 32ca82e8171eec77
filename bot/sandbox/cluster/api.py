"""One request from bearer token to answer: who, may they, is a fault due, do it, write it down.

Nothing here knows HTTP beyond status codes; ``server.py`` speaks it.
"""

import asyncio
import json
import uuid
from dataclasses import dataclass, replace
from typing import Any

from bot.sandbox.cluster import status
from bot.sandbox.cluster.age import Age
from bot.sandbox.cluster.audit import Audit, Entry
from bot.sandbox.cluster.faults import Effect, Fault, Faults
from bot.sandbox.cluster.objects import Json, copy_of, encode, stamp, uid_of, utc_now
from bot.sandbox.cluster.pages import page
from bot.sandbox.cluster.patching import PatchType
from bot.sandbox.cluster.rbac import Act, User, denial
from bot.sandbox.cluster.registry import Address, Intent, Registry
from bot.sandbox.cluster.requests import Call, manager_of
from bot.sandbox.cluster.resources import ACCESS_REVIEWS, NAMESPACES, PODS
from bot.sandbox.cluster.status import ApiError
from bot.sandbox.cluster.store import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What came over the wire, read as far as all verbs need it."""

    call: Call
    user: User
    body: bytes = b""
    content_type: str = "application/json"
    user_agent: str = ""
    metadata_version: str = ""
    """Of PartialObjectMetadata, where the client wants no more than that."""

    @property
    def metadata_only(self) -> bool:
        """Is nothing but metadata wanted?"""
        return bool(self.metadata_version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back; ``cut`` means that the connection is cut instead."""

    code: int
    body: bytes
    retry_after: int | None = None
    cut: bool = False


class Api:
    """The objects of a cluster behind authorisation, faults and audit."""

    def __init__(self, registry: Registry, *, audit: Audit, faults: Faults, age: Age | None = None) -> None:
        self.registry = registry
        self.audit = audit
        self.faults = faults
        self.age = age or Age()

    async def answer(self, request: Request) -> Answer:
        """Carry out a request; every outcome is an answer."""
        try:
            answer = await self._carried_out(request)
        except ApiError as error:
            answer = refusal(error)
        self.write_down(request, 0 if answer.cut else answer.code)
        return answer

    async def admit(self, request: Request) -> None:
        """Authorise a request and let a due fault strike, for answers that are given elsewhere (streams).

        Raises:
            ApiError: The refusal.
            ConnectionAbortedError: The connection is to be cut.
        """
        self._authorise(request)
        fault = self._due(request)
        if fault and await self._strikes(request, fault):
            raise ConnectionAbortedError
        if fault and fault.effect is Effect.DROP_AFTER:
            raise ConnectionAbortedError

    def write_down(self, request: Request, code: int) -> None:
        """Add a request to the audit log."""
        address = request.call.address
        entry = Entry(
            at=stamp(utc_now()),
            verb=request.call.verb,
            resource=address.resource.plural,
            subresource=address.subresource,
            namespace=address.namespace,
            name=address.name,
            user=request.user.name,
            code=code,
            dry_run=request.call.query.get("dryRun") == ["All"],
        )
        self.audit.add(entry)

    async def _carried_out(self, request: Request) -> Answer:
        self._authorise(request)
        self._check_known(request)
        fault = self._due(request)
        if fault and await self._strikes(request, fault):
            return Answer(code=0, body=b"", cut=True)
        answer = _in_kind(self._act(request), request)
        if fault and fault.effect is Effect.DROP_AFTER:
            return Answer(code=answer.code, body=b"", cut=True)
        return answer

    def _authorise(self, request: Request) -> None:
        act = request.call.act()
        if act.verb == "create" and act.resource == ACCESS_REVIEWS.plural:
            return  # system:basic-user gives this to everyone
        acts = [act]
        if act.subresource in ("exec", "portforward"):
            # An upgrade is a GET; since Kubernetes 1.35 "create" is asked for on top.
            both = (act, _with_verb(act, "get"))
            acts = list(both if self.age.streams_by_create else both[1:])
        for each in acts:
            self._authorise_as(request, each)

    @staticmethod
    def _authorise_as(request: Request, act: Act) -> None:
        if not request.user.may(act):
            address = request.call.address
            raise status.forbidden(address.resource, address.name, denial(request.user, act))

    def _check_known(self, request: Request) -> None:
        if not self.age.knows(request.call.address.resource):
            raise status.no_such_path()

    def _due(self, request: Request) -> Fault | None:
        call = request.call
        return self.faults.strike(
            call.act(),
            user=request.user.name,
            dry_run=call.dry_run,
            continued=bool(call.first("continue")),
        )

    async def _strikes(self, request: Request, fault: Fault) -> bool:
        """Let a fault do what comes before the deed; True means that the connection is to be cut."""
        match fault.effect:
            case Effect.STATUS:
                raise self._injected(request.call.address, fault)
            case Effect.DENY:
                raise _webhook_denial(fault)
            case Effect.HANG | Effect.SLOW:
                await asyncio.sleep(86_400 if fault.effect is Effect.HANG else fault.seconds)
            case Effect.VANISH | Effect.TOUCH | Effect.REPLACE:
                self._meddle(request, fault)
            case _:
                pass
        return fault.effect is Effect.DROP_BEFORE

    @staticmethod
    def _injected(address: Address, fault: Fault) -> ApiError:
        if fault.code == 404 and address.name and not fault.message:
            return status.not_found(address.resource, address.name)
        return status.injected(fault.code, message=fault.message, retry_after=fault.retry_after)

    def _meddle(self, request: Request, fault: Fault) -> None:
        address = request.call.address
        found = self.registry.store.get(address.resource, address.key)
        if found is None:
            return
        if fault.effect is Effect.VANISH:
            self.registry.store.remove(address.resource, address.key)
            return
        value = copy_of(found.value)
        if fault.effect is Effect.REPLACE:
            self.registry.store.remove(address.resource, address.key)
            value["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": stamp(utc_now())}
            self.registry.store.put(address.resource, value)
            raise status.not_found(address.resource, address.name)
        value["metadata"].setdefault("annotations", {})["sandbox/touched"] = stamp(utc_now())
        self.registry.store.put(address.resource, value)

    def _act(self, request: Request) -> Answer:
        call = request.call
        if call.verb not in ("get", "list"):
            request = replace(request, call=replace(call, query=self.age.dry_run(call.query)))
        match call.verb:
            case "get":
                return _one(self.registry.get(call.address), request)
            case "list":
                return self._list(request)
            case "create":
                return self._create(request)
            case "update":
                return self._update(request)
            case "patch":
                return self._patch(request)
            case "delete":
                return self._delete(request)
        raise ApiError(405, "the server does not allow this method on the requested resource", details={})

    def _list(self, request: Request) -> Answer:
        found = page(self.registry.store, request.call.listing())
        resource = request.call.address.resource
        headless = request.metadata_only and not self.age.lists_metadata_in_pages(request.metadata_version)
        if not self.age.counts_what_is_left:
            found = replace(found, left=None)
        body = found.body(resource, metadata_only=request.metadata_only, headless=headless)
        return Answer(code=200, body=body)

    def _create(self, request: Request) -> Answer:
        if request.call.address.resource is ACCESS_REVIEWS:
            return Answer(code=201, body=encode(_reviewed(request.user, _object(request))))
        body = _object(request)
        return _one(self.registry.create(request.call.address, body, _intent(request)), request, code=201)

    def _update(self, request: Request) -> Answer:
        address = request.call.address
        absent = self.registry.store.get(address.resource, address.key) is None
        if absent and address.resource.upsert:
            self._authorise_as(request, _with_verb(request.call.act(), "create"))
        done = self.registry.update(address, _object(request), _intent(request))
        return _one(done, request, code=201 if absent else 200)

    def _patch(self, request: Request) -> Answer:
        try:
            kind = PatchType(request.content_type)
        except ValueError as error:
            raise ApiError(415, "415: Unsupported Media Type", details={}) from error
        done = self.registry.patch(request.call.address, _parsed(request.body), kind, _intent(request))
        return _one(done, request)

    def _delete(self, request: Request) -> Answer:
        address = request.call.address
        options = _parsed(request.body) if request.body else {}
        dry_run = request.call.dry_run or bool(options.get("dryRun"))
        gone = self.registry.delete(address, options=options, dry_run=dry_run)
        if address.resource in (PODS, NAMESPACES):
            return _one(gone, request)
        details = {"name": address.name, "group": address.resource.group, "kind": address.resource.plural}
        details = {key: each for key, each in details.items() if each} | {"uid": uid_of(gone.value)}
        body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return Answer(code=200, body=encode(body))


def refusal(error: ApiError) -> Answer:
    """The answer that carries a ``Status``."""
    retry_after = (error.details or {}).get("retryAfterSeconds")
    return Answer(code=error.code, body=encode(error.body()) + b"\n", retry_after=retry_after)


def _in_kind(answer: Answer, request: Request) -> Answer:
    """The answer in the version that the client named: of the object, and of its metadata alone."""
    kept = request.call.address.resource.group_version
    if request.metadata_only:
        old, new = b"meta.k8s.io/v1", f"meta.k8s.io/{request.metadata_version}".encode()
    else:
        old, new = kept.encode(), (request.call.group_version or kept).encode()
    if old == new:
        return answer
    head = b'"apiVersion":"%s"'
    return replace(answer, body=answer.body.replace(head % old, head % new))


def _one(stored: Stored, request: Request, *, code: int = 200) -> Answer:
    return Answer(code=code, body=(stored.metadata() if request.metadata_only else stored.whole()) + b"\n")


def _intent(request: Request) -> Intent:
    manager = manager_of(request.call, request.user_agent)
    return Intent(manager=manager, dry_run=request.call.dry_run)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise status.bad_request(f"couldn't get version/kind; json parse error: {error}") from error


def _object(request: Request) -> Json:
    value = _parsed(request.body)
    if not isinstance(value, dict):
        raise status.bad_request("couldn't get version/kind; json parse error: not an object")
    if value.get("apiVersion") == request.call.group_version:
        value["apiVersion"] = request.call.address.resource.group_version
    return value


def _with_verb(act: Act, verb: str) -> Act:
    return Act(
        verb=verb,
        group=act.group,
        resource=act.resource,
        subresource=act.subresource,
        namespace=act.namespace,
        name=act.name,
    )


def _webhook_denial(fault: Fault) -> ApiError:
    text = fault.message or 'admission webhook "policy.sandbox.example" denied the request: not today'
    if not fault.message.startswith("admission webhook") and fault.message:
        text = f'admission webhook "policy.sandbox.example" denied the request: {fault.message}'
    return ApiError(fault.code if fault.code != 500 else 403, text)


def _reviewed(user: User, review: Json) -> Json:
    wanted = (review.get("spec") or {}).get("resourceAttributes")
    if not wanted:
        return {**review, "status": {"allowed": user.master}}
    act = Act(
        verb=wanted.get("verb", ""),
        group=wanted.get("group") or "",
        resource=wanted.get("resource", ""),
        subresource=wanted.get("subresource") or "",
        namespace=wanted.get("namespace") or "",
        name=wanted.get("name") or "",
    )
    verdict: Json = {"allowed": user.may(act)}
    if verdict["allowed"]:
        verdict["reason"] = "RBAC: allowed by the rules of the sandbox"
    head = {"kind": ACCESS_REVIEWS.kind, "apiVersion": ACCESS_REVIEWS.group_version, "metadata": {}}
    return {**head, "spec": review["spec"], "status": verdict}
