"""Leaves in use that should have been replaced long ago, holder by holder.

Such a leaf is not renewed (Citadel cannot write its secret) or not loaded (sidecars 1.1.0 to 1.1.7 lose
their file watch), and what shows it stops at the leaf's own end, however long the root lives. Source:
security/pkg/k8s/controller/workloadsecret.go and security/pkg/cmd/constants.go (Citadel 1.4).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.authority import citadel_container, is_citadel
from bot.core.certificates import Certificate
from bot.core.findings import Verdict
from bot.core.flags import text_flag
from bot.core.keeping import keeping, why_left_alone, why_unmanaged
from bot.core.mesh import LoadedCertificate, MeshSnapshot
from bot.core.proxies import Known, asks_agent, has_node_agents, has_of_this_ca, renewal_cure
from bot.core.verification import Holder, HolderVerdict
from bot.core.wording import span

Leaf = Certificate | LoadedCertificate

USUAL_RATIO = 0.5
"""The share of its life that is left when Citadel renews a leaf."""

MIN_GRACE = timedelta(minutes=10)
"""Citadel's least time before the end, for leaves that live for minutes."""

NODE_AGENT = "the node agent renews at times of its own"
"""An hour before the end in 1.1, at half of the life later (SECRET_GRACE_DURATION); looked at every ten
minutes (SECRET_JOB_RUN_INTERVAL). Source: security/cmd/node_agent_k8s/main.go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """When leaves are renewed."""

    ratio: float
    """The share of a leaf's life that is left then, 0 to 1."""

    @classmethod
    def of(cls, snapshot: MeshSnapshot) -> "Renewal":
        """As its Citadel's flag says; the usual ratio where there is none, or none that starts."""
        citadels = (w for w in snapshot.workloads if is_citadel(w) and w.ref.namespace == snapshot.namespace)
        given = [text_flag(citadel_container(each), "workload-cert-grace-period-ratio") for each in citadels]
        try:
            ratio = float(given[0]) if given and given[0] else USUAL_RATIO
        except ValueError:
            ratio = USUAL_RATIO
        return cls(ratio=ratio if 0 <= ratio <= 1 else USUAL_RATIO)

    @classmethod
    def at_the_latest(cls) -> "Renewal":
        """By whoever renews at times of its own: in its last minutes a leaf is late for anybody."""
        return cls(ratio=0)

    def due(self, leaf: Leaf) -> datetime:
        """From when on it is renewed."""
        return leaf.not_after - self._grace(leaf)

    def overdue(self, leaf: Leaf, at: datetime) -> bool:
        """Whether half of the time for its renewal is gone: no slow kubelet and no long queue takes that.

        Of leaves that live for minutes Citadel's least time is most of their life, and a quarter is late.
        """
        life = leaf.not_after - leaf.not_before
        return leaf.not_after - at < min(self._grace(leaf) / 2, life * max(self.ratio / 2, 0.25))

    def _grace(self, leaf: Leaf) -> timedelta:
        return max((leaf.not_after - leaf.not_before) * self.ratio, MIN_GRACE)


@dataclass(frozen=True, slots=True, kw_only=True)
class InUse:
    """The leaves of one holder."""

    holder: Holder
    what: str
    """By name, as a HolderVerdict has it."""
    told: str
    """`the certificate in Secret shop/istio.cart`."""
    leaves: tuple[Leaf, ...]
    """At least one: of a proxy one for each TLS context."""
    renewal: Renewal
    cure: str
    left_to: str = ""
    """Why nothing is said of them before their last minutes; empty where it is known when they are renewed."""


def judge_renewals(
    snapshot: MeshSnapshot, expected: Certificate | None, holder: Holder
) -> tuple[HolderVerdict, ...]:
    """Whether each holder of this kind that shows a leaf has it renewed in time.

    `expected`: the root that should be everywhere, by which proxies of another CA are told apart; None
    when it is not known. Skipped are those whose times are another's, while they are not late for anybody.
    """
    return tuple(_judge(use, snapshot.taken_at) for use in _in_use(snapshot, expected, holder))


def overdue_ends(snapshot: MeshSnapshot, expected: Certificate | None) -> Iterator[tuple[datetime, str]]:
    """When each holder of an overdue leaf stops, and the leaf in words."""
    for holder in (Holder.SECRET, Holder.SERVED, Holder.PROXY):
        for use in _in_use(snapshot, expected, holder):
            if late := _first_overdue(use, snapshot.taken_at):
                yield late.not_after, use.told


def _judge(use: InUse, at: datetime) -> HolderVerdict:
    late = _first_overdue(use, at)
    if late is None:
        verdict = Verdict.SKIPPED if use.left_to else Verdict.OK
        return HolderVerdict(holder=use.holder, what=use.what, verdict=verdict, reason=use.left_to)
    remaining = span(late.not_after - at)
    ends = f"ends in {remaining}" if at < late.not_after else f"ended {remaining} ago"
    reason = (
        f"its certificate {ends}, at {late.not_after:%Y-%m-%d %H:%M:%S} UTC, and should have been "
        f"renewed on {use.renewal.due(late):%Y-%m-%d}"
    )
    return HolderVerdict(
        holder=use.holder, what=use.what, verdict=Verdict.NOT_OK, reason=reason, cure=use.cure
    )


def _first_overdue(use: InUse, at: datetime) -> Leaf | None:
    late = [leaf for leaf in use.leaves if use.renewal.overdue(leaf, at)]
    return min(late, key=lambda leaf: leaf.not_after, default=None)


def _in_use(snapshot: MeshSnapshot, expected: Certificate | None, holder: Holder) -> Iterator[InUse]:
    match holder:
        case Holder.SECRET:
            return _in_secrets(snapshot)
        case Holder.SERVED:
            return _served(snapshot)
        case Holder.PROXY:
            return _in_proxies(snapshot, expected)
        case _:
            return iter(())


def _in_secrets(snapshot: MeshSnapshot) -> Iterator[InUse]:
    kept, renewal = keeping(snapshot), Renewal.of(snapshot)
    for secret in snapshot.secrets:
        if secret.leaf and not why_unmanaged(secret, kept):
            yield InUse(
                holder=Holder.SECRET,
                what=str(secret.ref),
                told=f"the certificate in {secret.ref}",
                leaves=(secret.leaf,),
                renewal=renewal,
                cure="Citadel's log says why it is not renewed",
            )


def _served(snapshot: MeshSnapshot) -> Iterator[InUse]:
    renewal = Renewal.of(snapshot)
    for served in snapshot.served:
        if served.asked and served.leaf:
            shower = served.pod or f"of Service {served.service}"
            yield InUse(
                holder=Holder.SERVED,
                what=f"webhook server {shower}",
                told=f"the certificate that {served.pod or served.service} shows",
                leaves=(served.leaf,),
                renewal=renewal,
                cure=f"see that its secret is in order, then restart {served.workload or served.pod}",
            )


def _in_proxies(snapshot: MeshSnapshot, expected: Certificate | None) -> Iterator[InUse]:
    known = Known.of(snapshot, expected) if expected else None
    kept = keeping(snapshot)
    citadels, agents = Renewal.of(snapshot), has_node_agents(snapshot)
    for proxy in snapshot.proxies:
        name = f"{proxy.pod.ref.namespace}/{proxy.pod.ref.name}"
        left = why_left_alone(proxy.pod.ref.namespace, proxy.pod.service_account, kept)
        if not proxy.asked or not proxy.leaves or (left and not (known and has_of_this_ca(proxy, known))):
            continue
        by_agent = asks_agent(proxy, agents=agents)
        yield InUse(
            holder=Holder.PROXY,
            what=f"proxy of {name}",
            told=f"the certificate loaded by {name}",
            leaves=proxy.leaves,
            renewal=Renewal.at_the_latest() if by_agent else citadels,
            cure=renewal_cure(proxy, left, by_agent=by_agent),
            left_to=NODE_AGENT if by_agent else "",
        )
