"""A Citadel mesh in memory: ClusterReader and ClusterWriter, held to the real ones by one suite.

cluster = FakeCluster(clock)                 2 namespaces, 4 workloads, a root with 12 days left
cluster.converge()                           everything takes what the CA signs with
cluster.settle() .reload_citadel() .reissue_secrets() .reload_webhooks() .reload_proxies()
                                             the same in single steps
cluster.fail("replace_root", OutcomeUnknown("…"), after=True)
                                             the next call does it, and says that it does not know
cluster.hide(Part.SECRETS, "Secrets in namespace shop")
                                             from now on this is unread
cluster.effects                              what was really written, in order
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.core.certificates import SigningKey, read_bundle, read_signing_key
from bot.core.ids import ClusterUid, MeshName, RotationId
from bot.core.mesh import (
    Access,
    ForeignSigns,
    MeshSnapshot,
    MutualTls,
    NamespaceFacts,
    ObjectRef,
    Part,
    Pod,
    SecretState,
    TrustConfigMap,
    Unread,
    Webhook,
)
from bot.errors import ClusterConflict, ClusterRefused, ObjectAbsent, RootkeeperError
from bot.flow.ports import Clock
from tests.fakes.certificates import a_key, key_pem, leaf_pem, root_pem
from tests.fakes.mesh import CITADEL, PRIVATE_KEY, ROOT_KEY, SYSTEM, Member, Plane, Secret

MESH = MeshName("prod")
LEASE = timedelta(minutes=15)

ACCOUNTS = (
    (SYSTEM, "istio-pilot-service-account"),
    ("bank", "ledger"),
    ("shop", "cart"),
    ("shop", "frontend"),
)
"""(namespace, service account) of every workload secret and its pod."""

PLANE = (CITADEL, "pilot", "galley", "sidecar-injector")
"""Value of the label `istio` of the control plane's Deployments."""

SERVERS = ("galley", "sidecar-injector")
"""Those of them that serve webhooks."""

WEBHOOKS = (
    ("MutatingWebhookConfiguration", "istio-sidecar-injector", "sidecar-injector.istio.io"),
    ("ValidatingWebhookConfiguration", "istio-galley", "pilot.validation.istio.io"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Raised by the next call of a method, before or after it did its work."""

    error: RootkeeperError
    after: bool


class FakeCluster:
    """One mesh run by a Citadel with a self-signed root; reader and writer in one object."""

    def __init__(
        self,
        clock: Clock,
        *,
        mesh: MeshName = MESH,
        days_left: float = 12,
        accounts: tuple[tuple[str, str], ...] = ACCOUNTS,
    ) -> None:
        self.clock = clock
        self.mesh = mesh
        self.uid = ClusterUid("00000000-0000-4000-8000-000000000001")
        self.skew = timedelta(0)
        self.foreign = ForeignSigns()
        self.mutual_tls = MutualTls(mesh_policy="strict", destination_rules=1, control_plane=True)
        self.access = Access(kubernetes="v1.37.2")
        self.unread: list[Unread] = []
        self.effects: list[str] = []
        """What was really written: `replace_root`, `restart istio-citadel`."""
        self.reads: list[frozenset[Part]] = []
        self._faults: dict[str, list[Fault]] = defaultdict(list)
        self._serial = 100
        self._key = a_key()
        end = clock.now().replace(microsecond=0) + timedelta(days=days_left)
        began = min(end - timedelta(days=365), clock.now() - timedelta(days=30)).replace(microsecond=0)
        root = root_pem(self._key, not_before=began, not_after=end)
        data = {ROOT_KEY: root, PRIVATE_KEY: key_pem(self._key)}
        self.secret: Secret | None = Secret("uid-ca", data | dict.fromkeys(_EMPTY, b""))
        self.backup: Secret | None = Secret("uid-backup", {})
        self.lease: tuple[RotationId, datetime] | None = None
        self._born = min(end - timedelta(days=30), clock.now() - timedelta(days=1))
        self.plane = [Plane(name, self._born + timedelta(hours=1), root) for name in PLANE]
        self.other_pods: list[Pod] = []
        """Of the control plane, and of none of its workloads."""
        self.members = [self._member(*account, root) for account in accounts]
        for part in self.plane:
            part.shown = self._shown_by(part, root)
        self.trust_root = root
        self.webhook_roots = {entry: root for _, _, entry in WEBHOOKS}

    def _member(self, namespace: str, account: str, root: bytes) -> Member:
        leaf = self._leaf(f"ns/{namespace}/sa/{account}", root, self._born)
        return Member(namespace, account, root, leaf, root, leaf)

    def _leaf(self, identity: str, root: bytes, now: datetime) -> bytes:
        self._serial += 1
        return leaf_pem(root, self._key, identity=identity, not_before=now, serial=self._serial)

    def _shown_by(self, part: Plane, root: bytes) -> bytes:
        account = f"{part.ref.name}-service-account"
        issued = min(part.started_at, self.clock.now())
        return self._leaf(f"ns/{SYSTEM}/sa/{account}", root, issued)

    # --- the world moves ----------------------------------------------------------------------

    def converge(self) -> None:
        """Let everything take what the CA secret holds, as far as restarts were made."""
        self.settle()
        self.reissue_secrets()
        self.reload_webhooks()
        self.reload_proxies()

    def settle(self) -> None:
        """End every rollout; a restarted process reads the root as it is now."""
        for part in self.plane:
            if part.rolling and not part.held:
                self._start(part)

    def delete_pods(self, component: str) -> None:
        """Somebody deletes a component's pods; the new ones are made from the newest template."""
        self._start(self.of_plane(component))

    def _start(self, part: Plane) -> None:
        part.rolling = False
        part.starts += 1
        part.started_at = part.made_at = self.clock.now()
        part.root = self._live_root()
        part.shown = self._shown_by(part, part.root or self.trust_root)

    def _live_root(self) -> bytes:
        return self.secret.data.get(ROOT_KEY, b"") if self.secret else b""

    def of_plane(self, component: str) -> Plane:
        """A Deployment of the control plane, by its label `istio`."""
        return next(part for part in self.plane if part.component == component)

    def member(self, account: str) -> Member:
        """A workload, by its service account."""
        return next(member for member in self.members if member.account == account)

    def reissue_secrets(self, *, but: frozenset[str] = frozenset()) -> None:
        """Citadel gives every secret with another root than its own a new leaf; `but` are accounts it forgets."""
        root = self.of_plane(CITADEL).root
        self.trust_root = root
        for member in self.members:
            if member.root != root and member.account not in but:
                member.root = root
                member.leaf = self._leaf(member.identity, root, self.clock.now())

    def reload_webhooks(self) -> None:
        """The components patch the root of their secrets into their webhooks."""
        self.webhook_roots = dict.fromkeys(self.webhook_roots, self.trust_root)

    def reload_proxies(self) -> None:
        """Every proxy that is not stuck loads what its secret holds."""
        for member in self.members:
            if not member.stuck:
                member.loaded_root, member.loaded_leaf = member.root, member.leaf

    # --- the world interferes -------------------------------------------------------------------

    def fail(self, method: str, error: RootkeeperError, *, after: bool = False, times: int = 1) -> None:
        """Make the next calls of a method raise, before or after they did their work."""
        self._faults[method] += [Fault(error=error, after=after)] * times

    def heal(self) -> None:
        """Nothing fails any more."""
        self._faults.clear()

    def hide(self, part: Part, what: str, *, reason: str = "may not") -> None:
        """From now on this is unread; the CA secret and workload secrets are hidden for real."""
        self.unread.append(Unread(part=part, what=what, reason=reason))

    def expire_served(self, component: str) -> None:
        """A webhook's server never loaded what Citadel renewed, and shows what ended yesterday."""
        part = self.of_plane(component)
        ended = self.clock.now() - timedelta(days=1)
        part.shown = self._leaf("ns/old", self.trust_root, ended - timedelta(days=90))

    def hush_served(self, component: str) -> None:
        """A webhook's server does not answer."""
        self.of_plane(component).shown = b""

    def touch_metadata(self) -> None:
        """Somebody annotates the CA secret."""
        secret = self._ca()
        secret.version += 1
        secret.annotations["somebody/was"] = "here"

    def change_data(self, key: str, value: bytes) -> None:
        """Somebody else changes the CA secret's data."""
        self._ca().write({key: value}, manager="kubectl-edit")

    # --- ClusterReader -----------------------------------------------------------------------------

    def read(self, parts: frozenset[Part]) -> MeshSnapshot:
        """See the port."""
        self._due("read", after=False)
        self.reads.append(parts)
        snapshot = MeshSnapshot(
            mesh=self.mesh,
            namespace=SYSTEM,
            cluster_uid=self.uid,
            parts=parts,
            taken_at=self.clock.now(),
            clock_skew=self.skew,
            unread=tuple(unread for unread in self.unread if unread.part in parts),
        )
        for part in sorted(parts):
            snapshot = self._with(part, snapshot)
        return snapshot

    def _due(self, method: str, *, after: bool) -> None:
        waiting = self._faults[method]
        if waiting and waiting[0].after is after:
            raise waiting.pop(0).error

    def _with(self, part: Part, snapshot: MeshSnapshot) -> MeshSnapshot:
        match part:
            case Part.AUTHORITY:
                return self._with_authority(snapshot)
            case Part.SECRETS:
                return self._with_secrets(snapshot)
            case Part.WEBHOOKS:
                served = tuple(part.served() for part in self.plane if part.component in SERVERS)
                return replace(snapshot, webhooks=self._webhooks(), served=served)
            case Part.PROXIES:
                proxies = tuple(member.proxy(started_at=self._born) for member in self.members)
                return replace(snapshot, proxies=proxies)
            case Part.POLICY:
                return replace(snapshot, mutual_tls=self.mutual_tls)
            case Part.ACCESS:
                return replace(snapshot, access=self.access)

    def _with_authority(self, snapshot: MeshSnapshot) -> MeshSnapshot:
        hidden = any("istio-ca-secret" in unread.what for unread in snapshot.unread)
        return replace(
            snapshot,
            ca_secret=None if hidden or self.secret is None else self.secret.ca_secret(),
            foreign=self.foreign,
            workloads=tuple(part.workload() for part in self.plane),
            control_plane_pods=(
                *(part.pod() for part in self.plane if part.replicas),
                *self.other_pods,
            ),
        )

    def _with_secrets(self, snapshot: MeshSnapshot) -> MeshSnapshot:
        accounts: defaultdict[str, set[str]] = defaultdict(set)
        for member in self.members:
            accounts[member.namespace].add(member.account)
        hidden = {
            name for name in accounts if f"Secrets in namespace {name}" in {u.what for u in snapshot.unread}
        }
        return replace(
            snapshot,
            namespaces=tuple(
                NamespaceFacts(name=name, terminating=False, service_accounts=frozenset(accounts[name]))
                for name in sorted(accounts)
            ),
            secrets=tuple(m.secret() for m in self.members if m.namespace not in hidden),
            trust=TrustConfigMap(
                ref=ObjectRef(kind="ConfigMap", namespace=SYSTEM, name="istio-security"),
                root=read_bundle(self.trust_root),
            ),
        )

    def _webhooks(self) -> tuple[Webhook, ...]:
        return tuple(
            Webhook(
                ref=ObjectRef(kind=kind, name=name),
                entry=entry,
                root=read_bundle(self.webhook_roots[entry]),
                service=f"{SYSTEM}/{name}",
            )
            for kind, name, entry in WEBHOOKS
            if entry in self.webhook_roots
        )

    def signing_key(self, expected: SecretState) -> SigningKey:
        """See the port."""
        self._due("signing_key", after=False)
        secret = self._expected(expected)
        return read_signing_key(secret.data.get(PRIVATE_KEY, b""))

    def _ca(self) -> Secret:
        if self.secret is None:
            raise ObjectAbsent("secrets istio-ca-secret in namespace istio-system does not exist")
        return self.secret

    def _expected(self, expected: SecretState) -> Secret:
        secret = self._ca()
        if not secret.state.same_data(expected):
            raise ClusterConflict(f"Secret istio-ca-secret was changed by {secret.managers[-1]}")
        return secret

    # --- ClusterWriter -----------------------------------------------------------------------------

    def hold(self, holder: RotationId, *, now: datetime) -> None:
        """See the port."""
        self._due("hold", after=False)
        if self.lease and self.lease[0] != holder and now < self.lease[1] + LEASE:
            raise ClusterConflict(f"leases rootkeeper is held by rotation {self.lease[0]}")
        self.lease = (holder, now)
        self._due("hold", after=True)

    def release(self, holder: RotationId) -> None:
        """See the port."""
        self._due("release", after=False)
        if self.lease and self.lease[0] == holder:
            self.lease = None

    def back_up(self, rotation_id: RotationId, *, expected: SecretState) -> SecretState:
        """See the port."""
        self._due("back_up", after=False)
        secret, backup = self._expected(expected), self._backup()
        copy = {f"{rotation_id}.{key}": value for key, value in secret.data.items()}
        if any(backup.data.get(key, value) != value for key, value in copy.items()):
            raise ClusterRefused(f"rotation {rotation_id} has a backup of other bytes already")
        if not copy.keys() <= backup.data.keys():
            if backup.immutable:
                raise ClusterRefused("secrets rootkeeper-backup is immutable")
            backup.write(copy, manager="rootkeeper")
            self.effects.append("back_up")
        self._due("back_up", after=True)
        return replace(secret.state, uid=backup.uid, resource_version=str(backup.version))

    def _backup(self) -> Secret:
        if self.backup is None:
            raise ObjectAbsent("secrets rootkeeper-backup in namespace istio-system does not exist")
        return self.backup

    def replace_root(
        self, pem: bytes, *, expected: SecretState, rotation_id: RotationId, rehearse: bool
    ) -> SecretState:
        """See the port."""
        self._due("replace_root", after=False)
        secret = self._ca()
        wanted = expected.with_value(ROOT_KEY, pem)
        if not secret.state.same_data(wanted):
            self._expected(expected)
            if secret.immutable:
                raise ClusterRefused("Secret istio-ca-secret is immutable")
            if rehearse:
                return replace(wanted, resource_version=str(secret.version + 1))
            secret.write({ROOT_KEY: pem}, manager="rootkeeper")
            secret.annotations["rootkeeper.dev/rotation"] = rotation_id
            self.effects.append("replace_root")
        self._due("replace_root", after=True)
        return secret.state

    def backed_up_root(self, rotation_id: RotationId) -> bytes:
        """See the port."""
        self._due("backed_up_root", after=False)
        pem = self._backup().data.get(f"{rotation_id}.{ROOT_KEY}")
        if not pem:
            raise ObjectAbsent(f"there is no backup of rotation {rotation_id}")
        return pem

    def restart(self, workload: ObjectRef, *, mark: str) -> None:
        """See the port."""
        self._due("restart", after=False)
        part = next((part for part in self.plane if part.ref == workload), None)
        if part is None:
            raise ObjectAbsent(f"{workload} does not exist")
        if part.restarted_at != mark:
            part.restarted_at, part.rolling = mark, True
            self.effects.append(f"restart {workload.name}")
        self._due("restart", after=True)


_EMPTY = ("cert-chain.pem", "key.pem", "root-cert.pem")
"""Keys of the CA secret that Citadel writes empty since 1.3."""
