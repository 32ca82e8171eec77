"""Understands what says whether mutual TLS is used: specs of policies and rules, the mesh's settings.

Enumerations come by name or by number and fields in two spellings, because Istio's own reader takes
both. What has another shape is None, never `no`. Source: `authentication/v1alpha1/policy.proto`,
`security/v1beta1/peer_authentication.proto`, `networking/v1alpha3/destination_rule.proto` and
`mesh/v1alpha1/config.proto` of istio/api.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgspec
import yaml
from msgspec import Struct, field

from bot.core.names import MESH_FILES
from bot.edges.kube.wire import Custom

ROOT_NAMESPACE = "istio-system"
"""Where policies for the whole mesh live when its settings name no other."""

MUTUAL = ("MUTUAL_TLS", 1)
ISTIO_MUTUAL = ("ISTIO_MUTUAL", 3)
OTHER_TLS = ("DISABLE", 0, "SIMPLE", 1, "MUTUAL", 2, None)
"""With certificates of the user's own, or without any; a mode without a name is the first."""
PERMISSIVE = ("PERMISSIVE", 1)

Strictness = Literal["strict", "permissive", ""]
Mode = str | int

_PEER_MODES: dict[Mode, Strictness | None] = {
    "UNSET": None,
    "DISABLE": "",
    "PERMISSIVE": "permissive",
    "STRICT": "strict",
    0: None,
    1: "",
    2: "permissive",
    3: "strict",
}
"""None: as the next wider policy says."""

T = TypeVar("T")


class _MutualTls(Struct):
    mode: Mode | None = None


class _Peer(Struct):
    mtls: _MutualTls | msgspec.UnsetType | None = msgspec.UNSET


class _PolicySpec(Struct, rename="camel"):
    peers: list[_Peer] | None = None
    peer_is_optional: bool | None = None


class _PeerSpec(Struct, rename="camel"):
    selector: dict[str, object] | None = None
    mtls: _MutualTls | None = None
    by_port: dict[str, _MutualTls | None] | None = field(default=None, name="portLevelMtls")


class _ClientTls(Struct, rename="camel"):
    mode: Mode | None = None
    client_certificate: str = ""
    ca_certificates: str = ""


class _Traffic(Struct, rename="camel"):
    tls: _ClientTls | None = None
    port_level_settings: list["_Traffic"] | None = None


class _Subset(Struct, rename="camel"):
    traffic_policy: _Traffic | None = None


class _RuleSpec(Struct, rename="camel"):
    traffic_policy: _Traffic | None = None
    subsets: list[_Subset] | None = None


class _Proxies(Struct, rename="camel"):
    control_plane_auth_policy: Mode | None = None


class _MeshConfig(Struct, rename="camel"):
    auth_policy: Mode | None = None
    enable_auto_mtls: bool | None = None
    root_namespace: str | None = None
    default_config: _Proxies | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshSettings:
    """What the mesh's own settings say of mutual TLS."""

    everywhere: bool = False
    """The deprecated `authPolicy` asks for it in the whole mesh."""
    control_plane: bool = False
    automatic: bool | None = None
    """None: nothing is said, so the version's default holds."""
    root_namespace: str = ROOT_NAMESPACE


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerModes:
    """What one PeerAuthentication makes servers do; None: as the next wider policy says."""

    namespace: str
    for_all: bool
    """It has no selector: it is for its whole namespace, or for the whole mesh in the root namespace."""
    mode: Strictness | None
    ports: tuple[Strictness | None, ...] = ()


def strictness(spec: msgspec.Raw) -> Strictness | None:
    """What a policy asks of clients: `mtls: {}` without a mode is strict, so is `mtls: null`."""
    policy = _understood(spec, _PolicySpec)
    if policy is None:
        return None
    asked = [peer.mtls for peer in policy.peers or () if not isinstance(peer.mtls, msgspec.UnsetType)]
    if not asked:
        return ""
    lenient = any(tls is not None and tls.mode in PERMISSIVE for tls in asked)
    return "permissive" if lenient or policy.peer_is_optional else "strict"


def _understood(spec: msgspec.Raw, shape: type[T]) -> T | None:
    """A spec in that shape; None where it has another."""
    try:
        return msgspec.convert(_in_camel_case(msgspec.json.decode(spec)) or {}, shape)
    except (msgspec.DecodeError, RecursionError):
        return None


def _in_camel_case(value: Any) -> Any:
    """With every field's name as `portLevelMtls`: Istio's reader takes `port_level_mtls` as well."""
    match value:
        case dict():
            return {_camel(str(name)): _in_camel_case(each) for name, each in value.items()}
        case list():
            return [_in_camel_case(each) for each in value]
        case _:
            return value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def uses_mutual_tls(spec: msgspec.Raw) -> bool | None:
    """Whether a destination rule makes clients use the mesh's certificates, anywhere in it."""
    rule = _understood(spec, _RuleSpec)
    if rule is None:
        return None
    policies = [rule.traffic_policy, *(subset.traffic_policy for subset in rule.subsets or ())]
    said = [each for policy in policies if policy for each in _mutual(policy)]
    return True if True in said else None if None in said else False


def _mutual(policy: _Traffic) -> list[bool | None]:
    """What each of its TLS settings says; None for a mode that is not known."""
    inner = [each for port in policy.port_level_settings or () for each in _mutual(port)]
    if policy.tls is None:
        return inner
    files = (policy.tls.client_certificate, policy.tls.ca_certificates)
    if policy.tls.mode in ISTIO_MUTUAL or any(file.startswith(MESH_FILES) for file in files):
        return [True, *inner]
    return [False if policy.tls.mode in OTHER_TLS else None, *inner]


def peer_modes(found: Custom) -> PeerModes | None:
    """What a PeerAuthentication says; None when it is not understood."""
    spec = _understood(found.spec, _PeerSpec)
    if spec is None:
        return None
    asked = [
        tls.mode if tls and tls.mode is not None else "UNSET"
        for tls in (spec.mtls, *(spec.by_port or {}).values())
    ]
    if not all(mode in _PEER_MODES for mode in asked):
        return None
    own, *ports = [_PEER_MODES[mode] for mode in asked]
    return PeerModes(
        namespace=found.metadata.namespace,
        for_all=not (spec.selector or {}).get("matchLabels"),
        mode=own,
        ports=tuple(ports),
    )


def mesh_settings(text: str) -> MeshSettings | None:
    """What the mesh's YAML says; None when it is not understood."""
    try:
        found = msgspec.convert(_spelt(yaml.safe_load(text)), _MeshConfig)
    except (yaml.YAMLError, msgspec.ValidationError, RecursionError, ValueError):
        return None
    between = found.default_config.control_plane_auth_policy if found.default_config else None
    return MeshSettings(
        everywhere=found.auth_policy in MUTUAL,
        control_plane=between in MUTUAL,
        automatic=found.enable_auto_mtls,
        root_namespace=found.root_namespace or ROOT_NAMESPACE,
    )


def _spelt(settings: Any) -> Any:
    """Only as deep as is read: YAML's aliases can make a short text endless."""
    if not isinstance(settings, dict):
        return {} if settings is None else settings
    spelt = {_camel(str(name)): each for name, each in settings.items()}
    proxies = spelt.get("defaultConfig")
    if isinstance(proxies, dict):
        spelt["defaultConfig"] = {_camel(str(name)): each for name, each in proxies.items()}
    return spelt
