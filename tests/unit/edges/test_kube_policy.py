"""Whether a mesh uses mutual TLS, from its policies and its settings."""

import msgspec
import pytest

from bot.edges.kube.policy_specs import (
    MeshSettings,
    mesh_settings,
    peer_modes,
    strictness,
    uses_mutual_tls,
)
from bot.edges.kube.wire import Custom, Meta

POLICIES = {
    "strict by default": ('{"peers":[{"mtls":{}}]}', "strict"),
    "strict by null": ('{"peers":[{"mtls":null}]}', "strict"),
    "strict by name": ('{"peers":[{"mtls":{"mode":"STRICT"}}]}', "strict"),
    "permissive": ('{"peers":[{"mtls":{"mode":"PERMISSIVE"}}]}', "permissive"),
    "optional": ('{"peers":[{"mtls":{}}],"peerIsOptional":true}', "permissive"),
    "for tokens only": ('{"origins":[{"jwt":{}}]}', ""),
    "empty": ("{}", ""),
    "strict by number": ('{"peers":[{"mtls":{"mode":0}}]}', "strict"),
    "permissive by number": ('{"peers":[{"mtls":{"mode":1}}]}', "permissive"),
    "optional in the other spelling": ('{"peers":[{"mtls":{}}],"peer_is_optional":true}', "permissive"),
    "nothing": ("null", ""),
    "of another shape": ('{"peers":"all"}', None),
    "of another shape in one of them": ('{"peers":[{"mtls":{}},"x"]}', None),
    "no JSON": ("{", None),
    "deeper than anybody reads": ("[" * 100_000, None),
}


@pytest.mark.parametrize(("spec", "strict"), POLICIES.values(), ids=POLICIES)
def test_a_policy_asks_for_mutual_tls_or_is_not_understood(spec: str, strict: str | None) -> None:
    assert strictness(msgspec.Raw(spec.encode())) == strict


RULES = {
    "for all": ('{"trafficPolicy":{"tls":{"mode":"ISTIO_MUTUAL"}}}', True),
    "for a port": (
        '{"trafficPolicy":{"portLevelSettings":[{"port":{"number":1},"tls":{"mode":"ISTIO_MUTUAL"}}]}}',
        True,
    ),
    "for a subset": ('{"subsets":[{"trafficPolicy":{"tls":{"mode":"ISTIO_MUTUAL"}}}]}', True),
    "with the user's own certificates": ('{"trafficPolicy":{"tls":{"mode":"MUTUAL"}}}', False),
    "with the mesh's files by hand": (
        '{"trafficPolicy":{"tls":{"mode":"MUTUAL","clientCertificate":"/etc/certs/cert-chain.pem"}}}',
        True,
    ),
    "that trusts the mesh's root by hand": (
        '{"trafficPolicy":{"tls":{"mode":"SIMPLE","caCertificates":"/etc/certs/root-cert.pem"}}}',
        True,
    ),
    "of a mode that is not known": ('{"trafficPolicy":{"tls":{"mode":"QUANTUM"}}}', None),
    "of a mode that is not known beside one that is": (
        '{"trafficPolicy":{"tls":{"mode":"QUANTUM"}},"subsets":[{"trafficPolicy":{"tls":{"mode":"ISTIO_MUTUAL"}}}]}',
        True,
    ),
    "for all in the other spelling": ('{"traffic_policy":{"tls":{"mode":"ISTIO_MUTUAL"}}}', True),
    "by number": ('{"trafficPolicy":{"tls":{"mode":3}}}', True),
    "not at all": ('{"host":"*.local"}', False),
    "of another shape": ('{"subsets":7}', None),
}


@pytest.mark.parametrize(("spec", "mutual"), RULES.values(), ids=RULES)
def test_a_destination_rule_uses_the_meshs_certificates(spec: str, *, mutual: bool | None) -> None:
    assert uses_mutual_tls(msgspec.Raw(spec.encode())) is mutual


PEERS: dict[str, tuple[str, tuple[bool, str | None, tuple[str | None, ...]] | None]] = {
    "strict": ('{"mtls":{"mode":"STRICT"}}', (True, "strict", ())),
    "permissive": ('{"mtls":{"mode":"PERMISSIVE"}}', (True, "permissive", ())),
    "disabled": ('{"mtls":{"mode":"DISABLE"}}', (True, "", ())),
    "by number": ('{"mtls":{"mode":3}}', (True, "strict", ())),
    "unset by name": ('{"mtls":{"mode":"UNSET"}}', (True, None, ())),
    "unset by silence": ("{}", (True, None, ())),
    "without a spec": ("null", (True, None, ())),
    "for a workload": (
        '{"selector":{"matchLabels":{"app":"a"}},"mtls":{"mode":"DISABLE"}}',
        (False, "", ()),
    ),
    "with a selector of nothing": ('{"selector":{},"mtls":{"mode":"STRICT"}}', (True, "strict", ())),
    "with a port": (
        '{"mtls":{"mode":"DISABLE"},"portLevelMtls":{"80":{"mode":"STRICT"},"81":{}}}',
        (True, "", ("strict", None)),
    ),
    "with a port in the other spelling": (
        '{"port_level_mtls":{"80":{"mode":"PERMISSIVE"}}}',
        (True, None, ("permissive",)),
    ),
    "of a mode that nobody knows": ('{"mtls":{"mode":"RELAXED"}}', None),
    "of another shape": ('{"mtls":"STRICT"}', None),
}


@pytest.mark.parametrize(("spec", "modes"), PEERS.values(), ids=PEERS)
def test_a_peer_authentication_says_what_servers_do(
    spec: str, modes: tuple[bool, str | None, tuple[str | None, ...]] | None
) -> None:
    found = peer_modes(
        Custom(metadata=Meta(namespace="shop", name="default"), spec=msgspec.Raw(spec.encode()))
    )

    assert (found and (found.for_all, found.mode, found.ports)) == modes


SETTINGS = {
    "the control plane's": (
        "defaultConfig:\n  controlPlaneAuthPolicy: MUTUAL_TLS\n",
        MeshSettings(control_plane=True),
    ),
    "the deprecated one of the whole mesh": ("authPolicy: MUTUAL_TLS\n", MeshSettings(everywhere=True)),
    "neither": ("authPolicy: NONE\ndefaultConfig: {controlPlaneAuthPolicy: NONE}\n", MeshSettings()),
    "clients that do it by themselves": ("enableAutoMtls: true\n", MeshSettings(automatic=True)),
    "clients that do not": ("enableAutoMtls: false\n", MeshSettings(automatic=False)),
    "the other spelling": (
        "enable_auto_mtls: true\ndefault_config: {control_plane_auth_policy: MUTUAL_TLS}\n",
        MeshSettings(automatic=True, control_plane=True),
    ),
    "another root namespace": ("rootNamespace: istio-config\n", MeshSettings(root_namespace="istio-config")),
    "nothing": ("", MeshSettings()),
    "an empty root namespace": ('rootNamespace: ""\n', MeshSettings()),
    "a flag that is no flag": ("enableAutoMtls: perhaps\n", None),
    "no YAML": ("a: [", None),
    "a list": ("- a\n", None),
    "something that runs code": ("!!python/object/apply:os.system ['true']", None),
    "something that grows without end": (
        "k0: &k0 [x]\n" + "".join(f"k{n}: &k{n} [*k{n - 1}, *k{n - 1}]\n" for n in range(1, 60)),
        MeshSettings(),
    ),
}


@pytest.mark.parametrize(("text", "settings"), SETTINGS.values(), ids=SETTINGS)
def test_the_meshs_settings_are_read_safely(text: str, settings: MeshSettings | None) -> None:
    assert mesh_settings(text) == settings
