"""Reads whether the mesh uses mutual TLS: policies of Istio 1.0 to 1.5 and the mesh's own settings.

What clients send: a destination rule, or by themselves (`enableAutoMtls`, from 1.4 on; on unless said
otherwise from 1.5 on). What servers accept: MeshPolicy and Policy; from 1.5 on PeerAuthentication,
without which they accept both. Source: `pilot/pkg/networking/core/v1alpha3/cluster.go`
(conditionallyConvertToIstioMtls) of 1.4, `pilot/pkg/model/push_context.go`
(BestEffortInferServiceMTLSMode) of 1.5. What is not understood is None, never `no`.
"""

from collections.abc import Callable

import msgspec

from bot.core.mesh import MutualTls, Part
from bot.edges.kube.look import Look
from bot.edges.kube.policy_specs import (
    MeshSettings,
    PeerModes,
    Strictness,
    mesh_settings,
    peer_modes,
    strictness,
    uses_mutual_tls,
)
from bot.edges.kube.targets import (
    CONFIG_MAPS,
    DESTINATION_RULES,
    MESH_POLICIES,
    PEER_AUTHENTICATIONS,
    POLICIES,
    Target,
)
from bot.edges.kube.wire import CONFIG_MAP, CUSTOM, CUSTOM_PAGE

MESH_CONFIG_MAP = "istio"
MESH_POLICY = "default"
UNCLEAR = "its spec is not understood"


def read_mutual_tls(look: Look) -> MutualTls:
    """Read the part POLICY."""
    settings = _mesh_settings(look)
    policy = _mesh_policy(look)
    missed = len(look.unread)
    peers = _peer_authentications(look)
    read_whole = len(look.unread) == missed
    return MutualTls(
        mesh_policy="strict" if policy == "" and settings and settings.everywhere else policy,
        policies=_count(look, "Policy", "Policies", POLICIES, _asks_for_tls),
        peers=_strongest(peers, settings) if read_whole else None,
        automatic=_automatic(settings, newer=peers is not None if read_whole else None),
        destination_rules=_count(
            look, "DestinationRule", "DestinationRules", DESTINATION_RULES, uses_mutual_tls
        ),
        control_plane=settings.control_plane if settings else None,
    )


def _mesh_policy(look: Look) -> Strictness | None:
    name = f"MeshPolicy {MESH_POLICY}"

    def read() -> Strictness | None:
        found = strictness(look.client.get(MESH_POLICIES.named(MESH_POLICY), CUSTOM).spec)
        if found is None:
            look.miss(Part.POLICY, name, UNCLEAR)
        return found

    return look.one(Part.POLICY, name, read, absent="", unread=None)


def _asks_for_tls(spec: msgspec.Raw) -> bool | None:
    found = strictness(spec)
    return None if found is None else found != ""


def _peer_authentications(look: Look) -> list[PeerModes] | None:
    """Every PeerAuthentication; None where the cluster does not have them, as before Istio 1.5."""
    found = look.everywhere_if_known(
        Part.POLICY,
        "PeerAuthentications",
        PEER_AUTHENTICATIONS,
        CUSTOM_PAGE,
        lambda each: (each.metadata, peer_modes(each)),
    )
    for metadata, modes in found or ():
        if modes is None:
            look.miss(Part.POLICY, f"PeerAuthentication {metadata.namespace}/{metadata.name}", UNCLEAR)
    return None if found is None else [modes for _, modes in found if modes]


def _strongest(peers: list[PeerModes] | None, settings: MeshSettings | None) -> Strictness | None:
    """The strongest that servers do anywhere; None when it cannot be told without the settings."""
    if peers is None:
        return ""
    said = {mode for each in peers for mode in (each.mode, *each.ports)}
    if "strict" in said:
        return "strict"
    if "permissive" in said:
        return "permissive"
    if settings is None:
        return None
    whole = [each.mode for each in peers if each.for_all and each.namespace == settings.root_namespace]
    return "" if whole and all(mode == "" for mode in whole) else "permissive"


def _automatic(settings: MeshSettings | None, *, newer: bool | None) -> bool | None:
    """Whether clients do it by themselves; `newer` meshes (1.5 on) do unless told not to."""
    if settings is None:
        return None
    return newer if settings.automatic is None else settings.automatic


def _count(
    look: Look, kind: str, kinds: str, target: Target, wanted: Callable[[msgspec.Raw], bool | None]
) -> int | None:
    """How many ask for it; None when not all could be read, because a part of a number is no number."""
    missed = len(look.unread)
    found = look.everywhere(
        Part.POLICY, kinds, target, CUSTOM_PAGE, lambda each: (each.metadata, wanted(each.spec))
    )
    for metadata, answer in found:
        if answer is None:
            look.miss(Part.POLICY, f"{kind} {metadata.namespace}/{metadata.name}", UNCLEAR)
    return None if len(look.unread) > missed else sum(1 for _, answer in found if answer)


def _mesh_settings(look: Look) -> MeshSettings | None:
    target = CONFIG_MAPS.within(look.namespace).named(MESH_CONFIG_MAP)
    name = f"ConfigMap {look.namespace}/{MESH_CONFIG_MAP}"

    def read() -> str:
        return (look.client.get(target, CONFIG_MAP).data or {}).get("mesh", "")

    text = look.one(Part.POLICY, name, read, absent="", unread=None)
    settings = None if text is None else mesh_settings(text)
    if settings is None and text is not None:
        look.miss(Part.POLICY, name, "its key `mesh` is not understood")
    return settings
