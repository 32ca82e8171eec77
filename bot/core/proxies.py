"""Judges one proxy by what its Envoy has loaded, and by what the rest of the mesh tells about that.

Of a certificate Envoy's `/certs` tells serial number and dates, nothing of its name, key or issuer.
What Citadel leaves alone by design is skipped only where it surely has nothing of this CA: a sidecar
whose namespace opted out after it was given a certificate still ends with the root, and may go on with
it when its secret is another CA's by now.
"""

from dataclasses import dataclass

from bot.core.certificates import Certificate
from bot.core.components import mounted_names
from bot.core.findings import Verdict
from bot.core.keeping import Keeping, keeping, why_left_alone
from bot.core.leaves import why_refused
from bot.core.mesh import MeshSnapshot, Pod, Proxy, WorkloadSecret
from bot.core.versions import sidecar_loads_new_roots


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the rest of the mesh tells about what a proxy has loaded."""

    expected: Certificate
    seen: MeshSnapshot
    kept: Keeping
    secrets: dict[tuple[str, str], WorkloadSecret]
    """By namespace and name."""
    roots: tuple[Certificate, ...]
    """Every root of this CA that is in use anywhere, the expected one first."""
    agents: bool
    """Whether some proxies may have theirs from a node agent."""

    @classmethod
    def of(cls, snapshot: MeshSnapshot, expected: Certificate) -> "Known":
        """Gathered once for all proxies. Needs the part SECRETS; without it nothing is known of others."""
        bundles = [secret.root for secret in snapshot.secrets]
        bundles += [held.root for held in (snapshot.ca_secret, snapshot.trust, *snapshot.webhooks) if held]
        seen = dict.fromkeys(certificate for bundle in bundles for certificate in bundle.certificates)
        return cls(
            expected=expected,
            seen=snapshot,
            kept=keeping(snapshot),
            secrets={(secret.ref.namespace, secret.ref.name): secret for secret in snapshot.secrets},
            roots=(expected, *(root for root in seen if _same_key(root, expected))),
            agents=has_node_agents(snapshot),
        )

    def mounted(self, pod: Pod) -> list[WorkloadSecret]:
        """The workload secrets that a pod has its files from."""
        places = ((pod.ref.namespace, name) for name in sorted(mounted_names(pod)))
        return [self.secrets[place] for place in places if place in self.secrets]


def has_node_agents(snapshot: MeshSnapshot) -> bool:
    """Whether node agents hand out certificates in this mesh, too (SDS, 1.1 to 1.4)."""
    return any(workload.label("istio") == "nodeagent" for workload in snapshot.workloads)


def asks_agent(proxy: Proxy, *, agents: bool) -> bool:
    """Whether it has its certificate from a node agent, where there are `agents`: it mounts no workload secret."""
    return agents and not any(each.startswith("istio.") for each in proxy.pod.secret_volumes)


def _same_key(root: Certificate, other: Certificate) -> bool:
    return root.public_key_digest == other.public_key_digest


def proxy_verdict(proxy: Proxy, known: Known) -> tuple[Verdict, str, str]:
    """Verdict, reason and cure."""
    if not proxy.asked:
        return Verdict.SKIPPED, proxy.fault or "its pod has ended or is ending", ""
    left = why_left_alone(proxy.pod.ref.namespace, proxy.pod.service_account, known.kept)
    if left and not has_of_this_ca(proxy, known):
        return _left_verdict(proxy, left, known)
    verdict, reason, cure = _loaded_verdict(proxy, known)
    if left and verdict is Verdict.NOT_OK:
        reason = f"{reason}, and Citadel will not renew it: {left}"
        cure = _left_cure(proxy)
    return verdict, reason, cure


def has_of_this_ca(proxy: Proxy, known: Known) -> bool:
    """Whether it has something of this CA, loaded or in its secret: then the root's end is its end too."""
    loaded = any(each.is_of(root) for each in proxy.roots for root in known.roots)
    return loaded or any(
        _same_key(root, known.expected)
        for secret in known.mounted(proxy.pod)
        for root in secret.root.certificates
    )


def _left_verdict(proxy: Proxy, left: str, known: Known) -> tuple[Verdict, str, str]:
    """Skipped where all that it has loaded stands in its own secrets as another CA's.

    After a rotation nothing holds this CA's old root: one that is not known may be that. A secret that the
    pod does not mount proves nothing of it, as Envoy tells no more of a root than whoever saw it can copy.
    """
    if not proxy.bare and (proxy.fault or not proxy.roots):
        reason = f"{proxy.fault or 'it shows no root certificate'}; {left}, but it may have this CA's root"
        return Verdict.UNKNOWN, reason, "look at the pod; then verify again"
    own = ((proxy.pod.ref.namespace, name) for name in proxy.pod.secret_volumes)
    mounted = [
        root for place in own if place in known.secrets for root in known.secrets[place].root.certificates
    ]
    if not all(any(each.is_of(root) for root in mounted) for each in proxy.roots):
        reason = f"has a root loaded that is in none of its secrets, so whose it is cannot be told; {left}"
        return Verdict.UNKNOWN, reason, f"restart {_owner(proxy)} if it may; then verify again"
    return Verdict.SKIPPED, f"{left}, and it has nothing of this CA", ""


def _loaded_verdict(proxy: Proxy, known: Known) -> tuple[Verdict, str, str]:
    if proxy.fault or not proxy.roots:
        return (
            Verdict.UNKNOWN,
            proxy.fault or "it shows no root certificate",
            "look at the pod; then verify again",
        )
    if reason := _wrong_loaded_root(proxy, known.expected):
        return Verdict.NOT_OK, reason, _proxy_cure(proxy)
    if reason := _wrong_loaded_leaf(proxy, known):
        return Verdict.NOT_OK, reason, _leaf_cure(proxy, by_agent=asks_agent(proxy, agents=known.agents))
    return Verdict.OK, "", ""


def _wrong_loaded_root(proxy: Proxy, expected: Certificate) -> str:
    # Every TLS context loads the files when it is made: one that is new says nothing of the others.
    others = [root for root in proxy.roots if not root.is_of(expected)]
    if not others:
        return ""
    oldest = min(others, key=lambda root: root.not_before)
    return (
        f"has the root valid from {oldest.not_before:%Y-%m-%d %H:%M:%S} to {oldest.not_after:%Y-%m-%d} loaded"
    )


def _wrong_loaded_leaf(proxy: Proxy, known: Known) -> str:
    """Envoy tells a leaf's serial number and dates only; who signed it, its secret tells if it is the same."""
    ended = min((leaf.not_after for leaf in proxy.leaves), default=known.seen.taken_at)
    if proxy.leaves and ended <= known.seen.taken_at:
        return f"has a certificate loaded that expired at {ended:%Y-%m-%d %H:%M:%S} UTC"
    for leaf in (secret.leaf for secret in known.mounted(proxy.pod) if secret.leaf):
        loaded = any(each.is_of(leaf) for each in proxy.leaves)
        if loaded and (reason := why_refused(leaf, known.expected, seen=known.seen)):
            return f"has a certificate loaded that {reason}"
    return ""


def _proxy_cure(proxy: Proxy) -> str:
    if sidecar_loads_new_roots(proxy.version) is False:
        return f"sidecar {proxy.version} does not load a new root by itself: restart {_owner(proxy)}"
    return f"the kubelet and Envoy take up to three minutes; after that restart {_owner(proxy)}"


def _leaf_cure(proxy: Proxy, *, by_agent: bool) -> str:
    source = "the node agent of its node" if by_agent else "its secret"
    return f"see that {source} is in order, then restart {_owner(proxy)}"


def _left_cure(proxy: Proxy) -> str:
    return f"give it back to Citadel or take it out of the mesh, then restart {_owner(proxy)}"


def renewal_cure(proxy: Proxy, left: str, *, by_agent: bool) -> str:
    """What gets it a renewed certificate; `left`: why Citadel leaves it alone, empty when it does not."""
    if by_agent:
        return _leaf_cure(
            proxy, by_agent=True
        )  # neither Citadel's secrets nor the sidecar's file watch matter
    if left:
        return _left_cure(proxy)
    if sidecar_loads_new_roots(proxy.version) is False:
        return f"sidecar {proxy.version} does not load it by itself: restart {_owner(proxy)}"
    return _leaf_cure(proxy, by_agent=False)


def _owner(proxy: Proxy) -> str:
    return proxy.pod.workload or str(proxy.pod.ref)
