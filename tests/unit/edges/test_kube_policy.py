"""Whether a mesh uses mutual TLS, from its policies and its settings."""

import msgspec
import pytest

from bot.edges.kube.policy import mesh_settings, strictness, uses_mutual_tls

POLICIES = {
    "strict by default": ('{"peers":[{"mtls":{}}]}', "strict"),
    "strict by null": ('{"peers":[{"mtls":null}]}', "strict"),
    "strict by name": ('{"peers":[{"mtls":{"mode":"STRICT"}}]}', "strict"),
    "permissive": ('{"peers":[{"mtls":{"mode":"PERMISSIVE"}}]}', "permissive"),
    "optional": ('{"peers":[{"mtls":{}}],"peerIsOptional":true}', "permissive"),
    "for tokens only": ('{"origins":[{"jwt":{}}]}', ""),
    "empty": ("{}", ""),
    "of another shape": ('{"peers":"all"}', ""),
}


@pytest.mark.parametrize(("spec", "strict"), POLICIES.values(), ids=POLICIES)
def test_a_policy_asks_for_mutual_tls(spec: str, strict: str) -> None:
    assert strictness(msgspec.Raw(spec.encode())) == strict


RULES = {
    "for all": ('{"trafficPolicy":{"tls":{"mode":"ISTIO_MUTUAL"}}}', True),
    "for a port": (
        '{"trafficPolicy":{"portLevelSettings":[{"port":{"number":1},"tls":{"mode":"ISTIO_MUTUAL"}}]}}',
        True,
    ),
    "for a subset": ('{"subsets":[{"trafficPolicy":{"tls":{"mode":"ISTIO_MUTUAL"}}}]}', True),
    "with the user's own certificates": ('{"trafficPolicy":{"tls":{"mode":"MUTUAL"}}}', False),
    "not at all": ('{"host":"*.local"}', False),
    "of another shape": ('{"subsets":7}', False),
}


@pytest.mark.parametrize(("spec", "mutual"), RULES.values(), ids=RULES)
def test_a_destination_rule_uses_the_meshs_certificates(spec: str, *, mutual: bool) -> None:
    assert uses_mutual_tls(msgspec.Raw(spec.encode())) is mutual


SETTINGS = {
    "the control plane's": ("defaultConfig:\n  controlPlaneAuthPolicy: MUTUAL_TLS\n", (False, True)),
    "the deprecated one of the whole mesh": ("authPolicy: MUTUAL_TLS\n", (True, False)),
    "neither": ("authPolicy: NONE\ndefaultConfig: {controlPlaneAuthPolicy: NONE}\n", (False, False)),
    "nothing": ("", (False, False)),
    "no YAML": ("a: [", None),
    "a list": ("- a\n", None),
    "something that runs code": ("!!python/object/apply:os.system ['true']", None),
}


@pytest.mark.parametrize(("text", "settings"), SETTINGS.values(), ids=SETTINGS)
def test_the_meshs_settings_are_read_safely(text: str, settings: tuple[bool, bool] | None) -> None:
    assert mesh_settings(text) == settings
