"""Faults on order: which request goes wrong, how, and how often."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from bot.sandbox.cluster.objects import Json
from bot.sandbox.cluster.rbac import Act
from bot.sandbox.cluster.status import bad_request


class Effect(StrEnum):
    """What becomes of a request that a fault hits."""

    STATUS = "status"  # answers `code` (with Retry-After if given); nothing is done
    DENY = "deny"  # an admission webhook refuses with `message`, in dry run too
    HANG = "hang"  # never answers
    SLOW = "slow"  # answers after `seconds`
    DROP_BEFORE = "drop-before"  # the connection is cut, nothing was done
    DROP_AFTER = "drop-after"  # it was done, but the connection is cut before the answer
    VANISH = "vanish"  # the object is deleted just before the request is carried out
    REPLACE = (
        "replace"  # a pod is gone (404), and another of its name runs in its place, as a StatefulSet's does
    )
    TOUCH = "touch"  # somebody else changes the object's metadata just before


@dataclass(slots=True, kw_only=True)
class Fault:
    """Hits the next ``times`` requests that match; None matches anything.

    ``verb`` is Kubernetes' (get, list, create, update, patch, delete); ``resource`` may name a subresource
    (``pods/exec``); ``continued`` chooses lists with or without a continue token; ``user`` a part of the
    user's name (default: everyone but the stand-in's own controllers, which ``user`` can name, too);
    ``after`` lets so many matching requests pass first.
    """

    effect: Effect
    verb: str | None = None
    resource: str | None = None
    namespace: str | None = None
    name: str | None = None
    user: str | None = None
    dry_run: bool | None = None
    continued: bool | None = None
    times: int = 1
    after: int = 0
    code: int = 500
    message: str = ""
    retry_after: int | None = None
    seconds: float = 1.0

    def hits(self, act: Act, *, user: str, dry_run: bool, continued: bool, insider: bool) -> bool:
        """Is this request meant?"""
        pairs: tuple[tuple[object, object], ...] = (
            (self.verb, act.verb),
            (self.resource, act.whole),
            (self.namespace, act.namespace),
            (self.name, act.name),
            (self.dry_run, dry_run),
            (self.continued, continued),
        )
        named = self.user in user if self.user else not insider
        return named and all(mine is None or mine == theirs for mine, theirs in pairs)


def fault_of(record: Json) -> Fault:
    """A fault from the control endpoint's JSON: the fields of :class:`Fault`.

    Raises:
        ApiError: 400, naming what is unknown.
    """
    known = {each.name for each in fields(Fault)}
    if unknown := sorted(set(record) - known):
        raise bad_request(f"unknown fields: {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    values: dict[str, Any] = dict(record)
    try:
        return Fault(**{**values, "effect": Effect(values["effect"])})
    except (KeyError, ValueError) as error:
        raise bad_request(f"effect must be one of {', '.join(Effect)}") from error


class Faults:
    """The faults that are waiting."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Arm one; where several match, the oldest hits first."""
        self.waiting.append(fault)

    def clear(self) -> None:
        """Disarm all."""
        self.waiting.clear()

    def strike(
        self, act: Act, *, user: str, dry_run: bool = False, continued: bool = False, insider: bool = False
    ) -> Fault | None:
        """The fault that hits this request, used up by one; None if the request is to go well."""
        for fault in self.waiting:
            if not fault.hits(act, user=user, dry_run=dry_run, continued=continued, insider=insider):
                continue
            if fault.after > 0:
                fault.after -= 1
                return None
            return self._used(fault)
        return None

    def _used(self, fault: Fault) -> Fault:
        fault.times -= 1
        if fault.times <= 0:
            self.waiting.remove(fault)
        return fault
