"""The namespace and service account controllers: a ``default`` account for each, content goes with them."""

from bot.sandbox.cluster.insider import Insider
from bot.sandbox.cluster.objects import Json, name_of, namespace_of
from bot.sandbox.cluster.pace import Pace
from bot.sandbox.cluster.registry import Address
from bot.sandbox.cluster.resources import NAMESPACES, SERVICE_ACCOUNTS, TABLE
from bot.sandbox.cluster.status import ApiError
from bot.sandbox.cluster.store import Change, Happened

_MOMENT = 0.5  # seconds of the mesh
_LEAVING = 5.0


class NamespaceController:
    """Follows namespaces as they come and go."""

    def __init__(self, insider: Insider, pace: Pace) -> None:
        self._insider = insider
        self._pace = pace

    def start(self) -> None:
        """Begin to watch."""
        self._insider.store.subscribe(self._on_change)

    def _on_change(self, change: Change) -> None:
        if change.resource is not NAMESPACES:
            return
        name = name_of(change.value)
        if change.what is Happened.ADDED:
            self._pace.later(_MOMENT, lambda: self._furnish(name))
        elif change.value["metadata"].get("deletionTimestamp") and change.what is Happened.MODIFIED:
            self._pace.later(_LEAVING, lambda: self._clear(name))

    def _furnish(self, namespace: str) -> None:
        place = {"name": "default", "namespace": namespace}
        account: Json = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": place}
        if self._insider.find(SERVICE_ACCOUNTS, namespace, "default"):
            return
        try:
            self._insider.create(account)
        except ApiError:
            return  # the namespace has gone already

    def _clear(self, namespace: str) -> None:
        for resource in TABLE:
            for each in self._insider.store.values(resource, namespace) if resource.namespaced else ():
                address = Address(resource=resource, namespace=namespace_of(each), name=name_of(each))
                self._insider.delete(address, now=True)
        self._insider.delete(Address(resource=NAMESPACES, name=namespace), now=True)
