"""The stand-in's own controllers as clients of the API: no HTTP, but audited and open to faults."""

from bot.sandbox.cluster import status
from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.audit import Entry
from bot.sandbox.cluster.faults import Effect
from bot.sandbox.cluster.objects import Json, name_of, namespace_of, stamp, utc_now
from bot.sandbox.cluster.patching import PatchType
from bot.sandbox.cluster.rbac import Act
from bot.sandbox.cluster.registry import Address, Intent
from bot.sandbox.cluster.resources import Resource, of_kind
from bot.sandbox.cluster.status import ApiError


class Insider:
    """Access to the API under one user's name; objects handed out must not be changed."""

    def __init__(self, api: Api, *, user: str, manager: str) -> None:
        self.user = user
        self._api = api
        self._intent = Intent(manager=manager)
        self.store = api.registry.store

    def find(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """The object, None if there is none."""
        found = self.store.get(resource, Address(resource=resource, namespace=namespace, name=name).key)
        return found.value if found else None

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """The object, asked for as a client does: audited and open to faults.

        Raises:
            ApiError: 404, or as a fault has it.
        """
        address = Address(resource=resource, namespace=namespace, name=name)
        self._enter("get", address)
        return self._api.registry.get(address).value

    def create(self, value: Json) -> Json:
        """Create an object; a name may be generated.

        Raises:
            ApiError: As the API answers, or as a fault has it.
        """
        address = _address_of(value)
        self._enter("create", address)
        return self._api.registry.create(address, value, self._intent).value

    def update(self, value: Json, *, subresource: str = "") -> Json:
        """Replace an object; with a ``resourceVersion`` only that version.

        Raises:
            ApiError: As above.
        """
        address = _address_of(value, subresource)
        self._enter("update", address)
        return self._api.registry.update(address, value, self._intent).value

    def merge(self, address: Address, patch: Json) -> Json:
        """Change parts of an object by a merge patch.

        Raises:
            ApiError: As above.
        """
        self._enter("patch", address)
        return self._api.registry.patch(address, patch, PatchType.MERGE, self._intent).value

    def delete(self, address: Address, *, now: bool = False) -> None:
        """Delete an object, a pod after its grace unless ``now``; nothing happens if it is gone."""
        try:
            self._enter("delete", address)
            self._api.registry.delete(address, options={"gracePeriodSeconds": 0} if now else None)
        except ApiError as error:
            if error.code != 404:
                raise

    def _enter(self, verb: str, address: Address) -> None:
        resource = address.resource
        act = Act(
            verb=verb,
            group=resource.group,
            resource=resource.plural,
            subresource=address.subresource,
            namespace=address.namespace,
            name=address.name,
        )
        fault = self._api.faults.strike(act, user=self.user, insider=True)
        refused = fault is not None and fault.effect in (Effect.STATUS, Effect.DENY)
        self._write_down(act, fault.code if fault and refused else 200)
        if fault and refused:
            raise status.injected(fault.code, message=fault.message, retry_after=fault.retry_after)

    def _write_down(self, act: Act, code: int) -> None:
        entry = Entry(
            at=stamp(utc_now()),
            verb=act.verb,
            resource=act.resource,
            subresource=act.subresource,
            namespace=act.namespace,
            name=act.name,
            user=self.user,
            code=code,
        )
        self._api.audit.add(entry)


def _address_of(value: Json, subresource: str = "") -> Address:
    resource = of_kind(value["apiVersion"], value["kind"])
    return Address(
        resource=resource, namespace=namespace_of(value), name=name_of(value), subresource=subresource
    )
