"""Reads whether the mesh uses mutual TLS: policies of Istio 1.0 to 1.5 and the mesh's own settings."""

from collections.abc import Callable
from typing import Literal

import msgspec
import yaml
from msgspec import Struct

from bot.core.mesh import MutualTls, Part
from bot.edges.kube.look import Look
from bot.edges.kube.targets import CONFIG_MAPS, DESTINATION_RULES, MESH_POLICIES, POLICIES, Target
from bot.edges.kube.wire import CONFIG_MAP, CUSTOM, CUSTOM_PAGE, Custom

MESH_CONFIG_MAP = "istio"
MESH_POLICY = "default"
MUTUAL = "MUTUAL_TLS"

Strictness = Literal["strict", "permissive", ""]


class _PolicySpec(Struct, rename="camel"):
    peers: list[dict[str, object]] | None = None
    peer_is_optional: bool | None = None


class _Tls(Struct):
    mode: str = ""


class _Traffic(Struct, rename="camel"):
    tls: _Tls | None = None
    port_level_settings: list["_Traffic"] | None = None


class _Subset(Struct, rename="camel"):
    traffic_policy: _Traffic | None = None


class _RuleSpec(Struct, rename="camel"):
    traffic_policy: _Traffic | None = None
    subsets: list[_Subset] | None = None


_POLICY = msgspec.json.Decoder(_PolicySpec)
_RULE = msgspec.json.Decoder(_RuleSpec)


def read_mutual_tls(look: Look) -> MutualTls:
    """Read the part POLICY."""
    deprecated, control_plane = _mesh_settings(look)
    policy = _mesh_policy(look)
    return MutualTls(
        mesh_policy="strict" if policy == "" and deprecated else policy,
        policies=_count(look, "Policies", POLICIES, _asks_for_tls),
        destination_rules=_count(look, "DestinationRules", DESTINATION_RULES, _uses_tls),
        control_plane=control_plane,
    )


def _mesh_policy(look: Look) -> Strictness | None:
    return look.one(
        Part.POLICY,
        f"MeshPolicy {MESH_POLICY}",
        lambda: strictness(look.client.get(MESH_POLICIES.named(MESH_POLICY), CUSTOM).spec),
        absent="",
        unread=None,
    )


def strictness(spec: msgspec.Raw) -> Strictness:
    """What a policy asks of clients: `mtls: {}` without a mode is strict, so is `mtls: null`."""
    try:
        policy = _POLICY.decode(spec)
    except msgspec.DecodeError:
        return ""
    asked = [peer["mtls"] for peer in policy.peers or () if "mtls" in peer]
    if not asked:
        return ""
    lenient = any(isinstance(tls, dict) and tls.get("mode") == "PERMISSIVE" for tls in asked)
    return "permissive" if lenient or policy.peer_is_optional else "strict"


def _asks_for_tls(found: Custom) -> bool:
    return strictness(found.spec) != ""


def uses_mutual_tls(spec: msgspec.Raw) -> bool:
    """Whether a destination rule makes clients use the mesh's certificates, anywhere in it."""
    try:
        rule = _RULE.decode(spec)
    except msgspec.DecodeError:
        return False
    policies = [rule.traffic_policy, *(subset.traffic_policy for subset in rule.subsets or ())]
    return any(_mutual(policy) for policy in policies if policy)


def _mutual(policy: _Traffic) -> bool:
    return (policy.tls is not None and policy.tls.mode == "ISTIO_MUTUAL") or any(
        _mutual(each) for each in policy.port_level_settings or ()
    )


def _uses_tls(found: Custom) -> bool:
    return uses_mutual_tls(found.spec)


def _count(look: Look, what: str, target: Target, wanted: Callable[[Custom], bool]) -> int | None:
    """How many ask for it; None when not all could be read, because a part of a number is no number."""
    missed = len(look.unread)
    found = look.everywhere(Part.POLICY, what, target, CUSTOM_PAGE, wanted)
    return None if len(look.unread) > missed else sum(found)


def _mesh_settings(look: Look) -> tuple[bool, bool | None]:
    """(the deprecated mesh-wide authPolicy asks for TLS, the control plane is spoken to over TLS)."""
    target = CONFIG_MAPS.within(look.namespace).named(MESH_CONFIG_MAP)
    name = f"ConfigMap {look.namespace}/{MESH_CONFIG_MAP}"

    def read() -> str:
        return (look.client.get(target, CONFIG_MAP).data or {}).get("mesh", "")

    text = look.one(Part.POLICY, name, read, absent="", unread=None)
    settings = None if text is None else mesh_settings(text)
    if settings is None:
        if text is not None:
            look.miss(Part.POLICY, name, "its key `mesh` is not YAML")
        return False, None
    return settings


def mesh_settings(text: str) -> tuple[bool, bool] | None:
    """The two settings of the mesh's YAML; None when it is not YAML."""
    try:
        settings = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
    if not isinstance(settings, dict):
        return (False, False) if settings is None else None
    proxies = settings.get("defaultConfig")
    between = proxies.get("controlPlaneAuthPolicy") if isinstance(proxies, dict) else None
    return settings.get("authPolicy") == MUTUAL, between == MUTUAL
