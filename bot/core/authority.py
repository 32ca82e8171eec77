"""Which CA signs this mesh: evidence → kind, or a refusal with the right way to go.

Recognised from what is there, never asked. A kind that Rootkeeper must not touch is still named,
so that the refusal can say what to do instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bot.core.certificates import Certificate
from bot.core.flags import from_elsewhere, switch, text_flag, variable
from bot.core.mesh import Container, MeshSnapshot, Part, Pod, Workload
from bot.core.names import PLUGGED_SECRET
from bot.core.versions import version_of_image


class AuthorityKind(StrEnum):
    """Every kind of CA that a mesh may have."""

    CITADEL_SELF_SIGNED = "citadel_self_signed"
    CITADEL_PLUGGED = "citadel_plugged"
    ISTIOD = "istiod"
    EXTERNAL = "external"
    MIXED = "mixed"
    SEVERAL = "several"
    NONE = "none"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """What signs this mesh, and how that is known."""

    kind: AuthorityKind
    version: str
    """Of the CA's image: `1.4.10`; empty when the tag is no version."""
    evidence: tuple[str, ...]
    refusal: str = ""
    """Why no rotation is possible here; empty when one is."""
    way: str = ""
    """What to do instead."""
    workload: Workload | None = None
    """The CA's own Deployment, where it is Citadel."""
    uses_ca_secret: bool = True
    """False where it surely signs from something else: what lies in `istio-ca-secret` is a leftover."""

    @property
    def supported(self) -> bool:
        """Whether Rootkeeper can rotate this mesh's root."""
        return not self.refusal

    @property
    def title(self) -> str:
        """For people: `Citadel 1.4.10, self-signed root`."""
        return _TITLES[self.kind].format(version=f" {self.version}" if self.version else "")


_TITLES = {
    AuthorityKind.CITADEL_SELF_SIGNED: "Citadel{version}, self-signed root",
    AuthorityKind.CITADEL_PLUGGED: "Citadel{version} with a plugged-in CA",
    AuthorityKind.ISTIOD: "istiod{version}",
    AuthorityKind.EXTERNAL: "a CA outside Istio",
    AuthorityKind.MIXED: "two CAs side by side",
    AuthorityKind.SEVERAL: "several control planes",
    AuthorityKind.NONE: "no CA found",
    AuthorityKind.UNKNOWN: "unknown",
}


STORED_IN = "citadel-storage-namespace"
USUAL_STORE = "istio-system"
"""Where Citadel keeps its CA secret when that flag is absent, wherever it runs (security/cmd/istio_ca/main.go)."""

CA_PROVIDER = "CA_PROVIDER"
"""The node agent's variable that names the kind of CA it asks."""

_TELLING = ("Deployments", "DaemonSets", "StatefulSets")
"""Lists without which a CA may go unseen: a SPIRE server is a StatefulSet, its agent a DaemonSet."""


def recognise(snapshot: MeshSnapshot) -> Authority:
    """Say what signs this mesh. Needs the part AUTHORITY.

    A control plane in another namespace has a CA secret of its own; it is told as evidence.
    """
    unread = [u for u in snapshot.unread_in(Part.AUTHORITY) if u.what.startswith(_TELLING)]
    if unread:
        return _refused(
            AuthorityKind.UNKNOWN,
            [f"{u.what}: {u.reason}" for u in unread],
            "what signs this mesh could not be read",
            "Give the bot the permissions of manifests/; `rootkeeper doctor` names the missing ones.",
        )
    if snapshot.foreign.workloads:
        return _external(snapshot.foreign.workloads)
    here = [w for w in snapshot.workloads if w.ref.namespace == snapshot.namespace]
    citadels = [w for w in here if is_citadel(w)]
    istiods = [w for w in here if is_istiod(w)]
    if citadels and istiods:
        return _mixed(citadels, istiods)
    if istiods:
        return _istiod(istiods[0], plugged=snapshot.foreign.plugged_secret)
    return _among_citadels(snapshot, citadels)


def signing_root(snapshot: MeshSnapshot, authority: Authority) -> Certificate | None:
    """The root that the CA signs with; None when it cannot be read or is not in the CA secret."""
    secret = snapshot.ca_secret
    return secret.root.first if secret and authority.uses_ca_secret else None


def is_citadel(workload: Workload | Pod) -> bool:
    """Whether this is a Citadel, by its label or its container's name."""
    return workload.label("istio") == "citadel" or any(c.name == "citadel" for c in workload.containers)


def citadel_container(workload: Workload) -> Container:
    """The container that is the CA."""
    return next((c for c in workload.containers if c.name == "citadel"), workload.containers[0])


def is_istiod(workload: Workload | Pod) -> bool:
    """Whether this is an istiod, by its label."""
    return workload.label("app") == "istiod"


def _refused(
    kind: AuthorityKind,
    evidence: Sequence[str],
    refusal: str,
    way: str,
    *,
    version: str = "",
    uses_ca_secret: bool = True,
) -> Authority:
    return Authority(
        kind=kind,
        version=version,
        evidence=tuple(evidence),
        refusal=refusal,
        way=way,
        uses_ca_secret=uses_ca_secret,
    )


def _external(found: Sequence[str]) -> Authority:
    return _refused(
        AuthorityKind.EXTERNAL,
        [f"{name} is running" for name in found],
        "another system issues this mesh's certificates",
        "Rotate the root where it is kept (cert-manager's issuer, SPIRE); writing Istio's secret would do "
        "nothing today and break the mesh at the next restart.",
        uses_ca_secret=False,
    )


def _mixed(citadels: Sequence[Workload], istiods: Sequence[Workload]) -> Authority:
    return _refused(
        AuthorityKind.MIXED,
        [f"{w.ref} is there" for w in (*citadels, *istiods)],
        "Citadel and istiod both read the same CA secret",
        "Finish the upgrade to istiod (remove Citadel), then come back.",
    )


def _istiod(workload: Workload, *, plugged: bool | None) -> Authority:
    """`plugged`: a secret `cacerts` exists, which istiod signs from before it looks at its own."""
    evidence = [f"{workload.ref} has the label app=istiod"]
    return _refused(
        AuthorityKind.ISTIOD,
        [*evidence, f"Secret {workload.ref.namespace}/{PLUGGED_SECRET} exists"] if plugged else evidence,
        "this mesh is signed by istiod, which this version of Rootkeeper does not rotate",
        "istiod extends a self-signed root by itself in the last fifth of its life while it runs; "
        "plugged-in CAs are rotated by their owner.",
        version=_version(workload.containers),
        uses_ca_secret=not plugged,
    )


def _among_citadels(snapshot: MeshSnapshot, citadels: Sequence[Workload]) -> Authority:
    elsewhere = tuple(
        f"{w.ref} is another CA, in another namespace"
        for w in snapshot.workloads
        if w.ref.namespace != snapshot.namespace and (is_citadel(w) or is_istiod(w))
    )
    if not citadels:
        return _refused(
            AuthorityKind.NONE,
            elsewhere or [f"no Deployment in {snapshot.namespace} has the label istio=citadel or app=istiod"],
            f"no Istio CA runs in namespace {snapshot.namespace}",
            "Set the mesh's namespace in ROOTKEEPER_MESHES to the one its control plane lives in.",
        )
    if len(citadels) > 1:
        return _refused(
            AuthorityKind.SEVERAL,
            [f"{w.ref} is a Citadel" for w in citadels],
            "more than one Citadel Deployment writes this mesh's certificates",
            "Keep one; several overwrite each other's secrets.",
        )
    found = _citadel(citadels[0])
    if found.supported and (other := _by_node_agents(snapshot, found)):
        return other
    return replace(found, evidence=(*found.evidence, *elsewhere))


def _citadel(workload: Workload) -> Authority:
    container = citadel_container(workload)
    version = version_of_image(container.image)
    if text_flag(container, "upstream-ca-address"):
        return _refused(
            AuthorityKind.EXTERNAL,
            [f"{workload.ref} runs with --upstream-ca-address"],
            "this Citadel asks another CA to sign",
            "Rotate the root at that CA.",
            version=version,
            uses_ca_secret=False,
        )
    if switch(container, "read-signing-cert-only"):
        return _refused(
            AuthorityKind.SEVERAL,
            [f"{workload.ref} runs with --read-signing-cert-only"],
            "this Citadel follows another one, which keeps the root",
            "Rotate where the leading Citadel runs; it is restarted first, its followers after it.",
            version=version,
        )
    return _by_mode(workload, container, version)


def _by_mode(workload: Workload, container: Container, version: str) -> Authority:
    self_signed, plugged = switch(container, "self-signed-ca"), text_flag(container, "signing-cert")
    if self_signed and not plugged:
        return _self_signed(workload, container, version)
    if self_signed is False or (plugged and not self_signed):
        return _refused(
            AuthorityKind.CITADEL_PLUGGED,
            [f"{workload.ref} runs with --signing-cert {plugged}".rstrip()],
            f"this Citadel signs with a plugged-in CA (secret {PLUGGED_SECRET}), which this version does not rotate",
            "Its owner replaces it; see Istio's `Plugging in existing CA Certificates`.",
            version=version,
            uses_ca_secret=False,
        )
    which = "both" if plugged else "neither"
    return _refused(
        AuthorityKind.UNKNOWN,
        [f"{workload.ref} asks for {which} of --self-signed-ca and --signing-cert"],
        "how this Citadel signs cannot be told from its arguments",
        "Give it --self-signed-ca=true and no --signing-cert, if it is self-signed.",
        version=version,
    )


def _self_signed(workload: Workload, container: Container, version: str) -> Authority:
    said = text_flag(container, STORED_IN)
    stored = said or USUAL_STORE
    if stored != workload.ref.namespace:
        return _refused(
            AuthorityKind.UNKNOWN,
            [f"{workload.ref} runs with{'' if said else 'out'} --{STORED_IN}, so it is {stored}"],
            "this Citadel keeps its CA secret in another namespace than its own",
            "Rootkeeper only writes the secret beside Citadel; one that it does not read would change nothing.",
            version=version,
        )
    return Authority(
        kind=AuthorityKind.CITADEL_SELF_SIGNED,
        version=version,
        evidence=(f"{workload.ref} runs with --self-signed-ca=true", f"its image is {container.image}"),
        workload=workload,
    )


def _by_node_agents(snapshot: MeshSnapshot, citadel: Authority) -> Authority | None:
    """Refused where node agents ask another CA than Citadel for the workloads' certificates.

    Source: security/cmd/node_agent_k8s/main.go, which asks Citadel where it is told nothing.
    """
    agents = (w for w in snapshot.workloads if w.ref.namespace == snapshot.namespace)
    for agent in (w for w in agents if w.label("istio") == "nodeagent"):
        for container in agent.containers:
            provider = variable(container, CA_PROVIDER)
            if from_elsewhere(container, CA_PROVIDER):
                return _refused(
                    AuthorityKind.UNKNOWN,
                    [*citadel.evidence, f"{agent.ref} takes {CA_PROVIDER} from somewhere else"],
                    "which CA the node agents ask for certificates cannot be told",
                    f"Write the value of {CA_PROVIDER} into {agent.ref}, if it is Citadel.",
                    version=citadel.version,
                )
            if provider not in ("", "Citadel"):
                return _refused(
                    AuthorityKind.MIXED,
                    [*citadel.evidence, f"{agent.ref} runs with {CA_PROVIDER}={provider}"],
                    f"the node agents ask another CA ({provider}) for the workloads' certificates",
                    "Rotate that CA's root where it is kept. Citadel's own root is watched here; what still "
                    "depends on it must move to one CA before it is rotated.",
                    version=citadel.version,
                )
    return None


def _version(containers: Sequence[Container]) -> str:
    return next((v for c in containers if (v := version_of_image(c.image))), "")
