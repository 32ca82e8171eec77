"""Citadel: loads or creates the CA, keeps a secret per service account, notices changed roots.

Source: Istio 1.0 to 1.4, ``security/pkg/k8s/controller/workloadsecret.go`` and ``security/pkg/pki/ca``.
Times are seconds of the mesh.
"""

import asyncio
import base64
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta

from bot.sandbox.cluster import workloads
from bot.sandbox.cluster.certificates import (
    LEAF_LIFETIME,
    Authority,
    InvalidAuthorityError,
    first_of,
    key_pem,
    load_authority,
    new_key,
    organization,
    pem_of,
    root_certificate,
)
from bot.sandbox.cluster.insider import Insider
from bot.sandbox.cluster.objects import Json, annotations_of, labels_of, name_of, namespace_of, utc_now
from bot.sandbox.cluster.pace import Pace
from bot.sandbox.cluster.registry import Address
from bot.sandbox.cluster.resources import CONFIG_MAPS, NAMESPACES, SECRETS, SERVICE_ACCOUNTS
from bot.sandbox.cluster.rotator import Rotator
from bot.sandbox.cluster.status import ApiError
from bot.sandbox.cluster.store import Change, Happened
from bot.sandbox.cluster.versions import has_rotator, keeps_a_root_it_cannot_store, older

RESYNC = 60.0
RATE = 2.5  # secrets a second: client-go's 5 requests a second, two requests each
CA_SECRET = "istio-ca-secret"  # noqa: S105
_THROTTLE = 30.0  # at most one look at the CA secret so often for secrets that differ from memory
_EMPTY_KEYS = ("cert-chain.pem", "key.pem", "root-cert.pem")  # written empty since 1.3


# Namespace, account, and whether an existing secret is looked at: at its start Citadel only makes what is
# missing.
_Item = tuple[str, str, bool]


class CrashError(Exception):
    """The process ends at its start with this line in its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the Deployment's image, arguments and environment say."""

    namespace: str = "istio-system"
    version: str = "1.4.10"
    trust_domain: str = "cluster.local"
    self_signed: bool = True
    root_lifetime: timedelta = timedelta(days=3650)
    check_interval: float = 3600.0  # seconds; the rotator's, 0 switches it off
    rate: float = RATE
    resumed: bool = False  # it was running before the scene began: an expired root did not stop it


class Citadel:
    """One process of Citadel, from start to end."""

    def __init__(self, insider: Insider, pace: Pace, options: Options) -> None:
        self.name = "citadel"
        self.options = options
        self.authority: Authority | None = None
        self.log: list[str] = []
        self.insider = insider
        self.pace = pace
        self._queue: asyncio.Queue[_Item] = asyncio.Queue()
        self._queued: set[_Item] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._keys = 0
        self._looked_at = -_THROTTLE

    def start(self, mounted: dict[str, Json]) -> None:
        """Load the CA and begin to work; ``mounted`` holds the files of ``cacerts`` where it is plugged in.

        Raises:
            CrashError: The CA cannot be loaded.
        """
        try:
            self.authority = self._own() if self.options.self_signed else self._plugged(mounted)
        except (InvalidAuthorityError, ApiError) as error:
            raise CrashError(f"fatal Failed to create a self-signed Citadel (error: {error})") from error
        self.publish()
        self.insider.store.subscribe(self._on_change)
        self._greet()
        self._run(self._work, self._resync)
        if self.options.self_signed and has_rotator(self.options.version) and self.options.check_interval > 0:
            self._run(Rotator(self).run)

    def stop(self) -> None:
        """End the process; what it held in memory is gone."""
        self.insider.store.unsubscribe(self._on_change)
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    def files_changed(self, mounted: dict[str, Json]) -> None:
        """Citadel reads files only at its start."""

    def holds(self) -> str:
        """The bundle in memory, base64."""
        return self.authority.root64 if self.authority else ""

    def _run(self, *jobs: Callable[[], Coroutine[None, None, None]]) -> None:
        for job in jobs:
            self._tasks.append(asyncio.create_task(job()))

    def _own(self) -> Authority:
        try:
            found = self.insider.get(SECRETS, self.options.namespace, CA_SECRET)
        except ApiError:  # any error, not only "not found": so it was until istiod 1.17
            return self._create()
        return self.read(found)

    def read(self, ca_secret: Json) -> Authority:
        """The CA in a secret.

        Raises:
            InvalidAuthorityError: Any content that is not a usable CA.
        """
        data = ca_secret.get("data") or {}
        files = {key: base64.b64decode(text) for key, text in data.items()}
        now = None if self.options.resumed and self.authority is None else utc_now()
        return load_authority(files.get("ca-cert.pem", b""), files.get("ca-key.pem", b""), now=now)

    def _create(self) -> Authority:
        """A brand-new CA: what makes a missing secret so dangerous."""
        key, now = new_key(), utc_now().replace(microsecond=0)
        certificate = root_certificate(
            key,
            organization(self.root_organization),
            not_before=now,
            not_after=now + self.options.root_lifetime,
        )
        authority = Authority(bundle=pem_of(certificate), certificate=certificate, key=key)
        self._save(authority)
        return authority

    def _save(self, authority: Authority) -> None:
        try:
            self.insider.create(ca_secret(self.options.namespace, authority, version=self.options.version))
        except ApiError:
            if not keeps_a_root_it_cannot_store(self.options.version):
                raise
            self.log.append("error Failed to write secret to CA. This CA will not persist when restart")

    @property
    def root_organization(self) -> str:
        """What this version writes into a new root."""
        return "k8s.cluster.local" if older(self.options.version, "1.1.0") else self.options.trust_domain

    def _plugged(self, mounted: dict[str, Json]) -> Authority:
        data = mounted.get("cacerts") or {}
        files = {key: base64.b64decode(text) for key, text in data.items()}
        root = files.get("root-cert.pem", b"")
        return load_authority(
            files.get("ca-cert.pem", b""), files.get("ca-key.pem", b""), now=utc_now(), chain=root
        )

    def publish(self) -> None:
        """Write the ConfigMap that node agents read, base64 of PEM."""
        if older(self.options.version, "1.1.0"):
            return
        data = {"caTLSRootCert": self.holds()}
        place = {"name": "istio-security", "namespace": self.options.namespace}
        try:
            if self.insider.find(CONFIG_MAPS, place["namespace"], place["name"]):
                address = Address(resource=CONFIG_MAPS, namespace=place["namespace"], name=place["name"])
                self.insider.merge(address, {"data": data})
            else:
                self.insider.create(
                    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": place, "data": data}
                )
        except ApiError as error:
            self.log.append(f"error Failed to write istio-security: {error}")

    def _greet(self) -> None:
        for account in self.insider.store.values(SERVICE_ACCOUNTS):
            self._enqueue(namespace_of(account), name_of(account))

    def _on_change(self, change: Change) -> None:
        if change.resource is SERVICE_ACCOUNTS and change.what is not Happened.MODIFIED:
            self._enqueue(namespace_of(change.value), name_of(change.value))
        if change.resource is SECRETS and change.what is Happened.DELETED and _is_ours(change.value):
            self._enqueue(namespace_of(change.value), annotations_of(change.value)[workloads.ANNOTATION])

    def _enqueue(self, namespace: str, account: str, *, refresh: bool = False) -> None:
        item = (namespace, account, refresh)
        if item not in self._queued:
            self._queued.add(item)
            self._queue.put_nowait(item)

    async def _resync(self) -> None:
        while True:
            await self.pace.sleep(RESYNC)
            for found in self.insider.store.values(SECRETS):
                if _is_ours(found) and self._is_stale(found):
                    account = annotations_of(found)[workloads.ANNOTATION]
                    self._enqueue(namespace_of(found), account, refresh=True)

    async def _work(self) -> None:
        while True:
            item = await self._queue.get()
            self._queued.discard(item)
            namespace, account, refresh = item
            if self.settle(namespace, account, refresh=refresh):
                await self.pace.sleep(1 / self.options.rate)
            await asyncio.sleep(0)

    def settle(self, namespace: str, account: str, *, refresh: bool) -> bool:
        """Bring one account's secret to what it should be; True if that took a write."""
        found = self.insider.find(SECRETS, namespace, workloads.secret_name(account))
        try:
            if self._manages(namespace) and not self._is_wanted(namespace, account):
                return found is not None and self._withdraw(found)
            if found is not None:
                return refresh and self._refresh(namespace, account, found)
            return self._manages(namespace) and self._make(namespace, account)
        except ApiError as error:  # the next resync comes by again
            self.log.append(f"error Failed to update secret {namespace}/{account}: {error}")
            return True

    def _is_wanted(self, namespace: str, account: str) -> bool:
        return self.insider.find(SERVICE_ACCOUNTS, namespace, account) is not None

    def _make(self, namespace: str, account: str) -> bool:
        self.insider.create(workloads.secret(namespace, account, self._issue(namespace, account)))
        return True

    def _refresh(self, namespace: str, account: str, found: Json) -> bool:
        if not self._is_stale(found):
            return False
        self._look_at_ca_secret(found)
        if self._is_stale(found):
            data = self._issue(namespace, account)
            if data["key.pem"] == (found.get("data") or {}).get("key.pem"):
                data = self._issue(namespace, account)  # a refresh has a new key, though keys are few here
            self.insider.update({**found, "data": data})
        return True

    def _withdraw(self, found: Json) -> bool:
        address = Address(resource=SECRETS, namespace=namespace_of(found), name=name_of(found))
        self.insider.delete(address)
        return True

    def _issue(self, namespace: str, account: str) -> dict[str, str]:
        assert self.authority is not None
        self._keys += 1
        return workloads.issued(
            self.authority,
            namespace=namespace,
            account=account,
            trust_domain=self.options.trust_domain,
            now=utc_now(),
            key_number=self._keys,
        )

    def _is_stale(self, found: Json) -> bool:
        data = found.get("data") or {}
        if not self._manages(namespace_of(found)):
            return False
        leaf = first_of(data.get("cert-chain.pem") or "")
        if leaf is None:
            return not older(self.options.version, "1.1.0")  # 1.0 never repairs what it cannot read
        in_grace = leaf.not_valid_after_utc - utc_now() < LEAF_LIFETIME / 2
        return in_grace or data.get("root-cert.pem") != self.holds()

    def _look_at_ca_secret(self, found: Json) -> None:
        """``tryToSyncKeyCertBundle``: a root that differs from memory may mean that memory is old."""
        now = asyncio.get_running_loop().time() * self.pace.speed
        differs = (found.get("data") or {}).get("root-cert.pem") != self.holds()
        if not differs or not has_rotator(self.options.version) or now - self._looked_at < _THROTTLE:
            return
        self._looked_at = now
        current = self.insider.find(SECRETS, self.options.namespace, CA_SECRET)
        if current is None or not self.options.self_signed:
            return
        try:
            self.authority = self.read(current)
        except InvalidAuthorityError as error:
            self.log.append(f"error Failed to reload the CA: {error}")

    def _manages(self, namespace: str) -> bool:
        found = self.insider.find(NAMESPACES, "", namespace)
        labels = labels_of(found) if found else {}
        if older(self.options.version, "1.2.0"):
            return found is not None
        override, home = labels.get("ca.istio.io/override"), labels.get("ca.istio.io/env")
        if override is not None:
            return override == "true"
        return found is not None and home in (None, self.options.namespace)


def _is_ours(found: Json) -> bool:
    return found.get("type") == workloads.SECRET_TYPE and workloads.ANNOTATION in annotations_of(found)


def ca_secret(namespace: str, authority: Authority, *, version: str) -> Json:
    """The CA secret as this version of Citadel creates it."""
    data = {
        "ca-cert.pem": authority.root64,
        "ca-key.pem": base64.b64encode(key_pem(authority.key)).decode(),
    }
    if not older(version, "1.3.0"):
        data |= dict.fromkeys(_EMPTY_KEYS, "")
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": CA_SECRET, "namespace": namespace},
        "data": data,
        "type": "istio.io/ca-root",
    }
