"""From the wire to the snapshot's values: what is odd becomes words, never an exception."""

import base64
import json
from datetime import UTC, datetime

import msgspec
import pytest

from bot.core.certificates import KeyFacts, describe_key
from bot.edges.kube import convert
from bot.edges.kube.holders import is_istios
from bot.edges.kube.wire import (
    WHOLE_SECRET,
    ConfigMapWire,
    WebhookConfiguration,
    WholeSecret,
    WorkloadData,
    WorkloadSecretWire,
)
from tests.fakes.certificates import a_key, key_pem, leaf_pem, root_pem

START = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)
ROOT = root_pem(a_key(), not_before=START, not_after=END)
LEAF = leaf_pem(ROOT, a_key(), identity="ns/shop/sa/cart", not_before=START, serial=7)


def encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def secret(data: dict[str, str] | None, **fields: object) -> WholeSecret:
    """The CA secret with these data."""
    return WHOLE_SECRET.decode(json.dumps({"data": data, **fields}))


# --- the CA secret --------------------------------------------------------------------------------


def test_a_whole_ca_secret_has_no_fault() -> None:
    found = convert.ca_secret(
        secret({"ca-cert.pem": encoded(ROOT), "ca-key.pem": encoded(key_pem(a_key())), "key.pem": ""})
    )

    assert found.faults == ()
    assert found.root.faults == ()
    assert found.root.first is not None
    assert found.key.public_key_digest == found.root.first.public_key_digest
    assert [key for key, _ in found.state.digests] == ["ca-cert.pem", "ca-key.pem", "key.pem"]


@pytest.mark.parametrize("data", [None, {}])
def test_data_null_or_empty_is_a_fault_of_the_whole(data: dict[str, str] | None) -> None:
    found = convert.ca_secret(secret(data))

    assert found.faults == ("holds no data at all",)
    assert found.root.certificates == ()
    assert found.key.fault == "the secret has no ca-key.pem"


def test_a_value_that_is_not_base64_is_a_fault_by_its_key() -> None:
    found = convert.ca_secret(secret({"ca-cert.pem": "no base64!", "ca-key.pem": "n'either"}))

    assert found.faults == ("ca-cert.pem is not base64", "ca-key.pem is not base64")
    assert found.root.faults == ("is not base64",)
    assert found.key.fault == "ca-key.pem is not base64"


def test_only_a_certificate_without_its_key_can_be_looked_at() -> None:
    found = convert.ca_secret(secret({"ca-cert.pem": encoded(ROOT)}))

    assert found.root.first is not None
    assert found.key.fault == "the secret has no ca-key.pem"


def test_a_key_is_read_once_until_it_is_another_and_nothing_of_it_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    described: list[bytes] = []

    def noted(pem: bytes) -> KeyFacts:
        described.append(pem)
        return describe_key(pem)

    monkeypatch.setattr(convert, "describe_key", noted)
    one, other = key_pem(a_key(1)), key_pem(a_key(2))
    describe = convert.DescribedKey()

    said = [describe(pem) for pem in (one, one, other, other, b"", one)]

    assert described == [one, other, b"", one]
    assert said == [describe_key(pem) for pem in (one, one, other, other, b"", one)]
    assert str(one)[2:-1] not in str(vars(describe))


def test_nothing_of_the_key_stays_in_a_ca_secret() -> None:
    pem = key_pem(a_key())

    found = convert.ca_secret(secret({"ca-cert.pem": encoded(ROOT), "ca-key.pem": encoded(pem)}))

    assert pem.splitlines()[1].decode() not in repr(found)
    assert encoded(pem)[:60] not in repr(found)


def test_managers_of_data_come_latest_last_and_others_not_at_all() -> None:
    fields = [
        {"manager": "helm", "time": "2026-03-01T00:00:00Z", "fieldsV1": {"f:data": {"f:ca-cert.pem": {}}}},
        {"manager": "istio_ca", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:data": {}, "f:type": {}}},
        {"manager": "kubectl-annotate", "time": "2026-04-01T00:00:00Z", "fieldsV1": {"f:metadata": {}}},
        {"manager": "old", "time": "2026-05-01T00:00:00Z"},
    ]

    found = convert.ca_secret(secret({}, metadata={"managedFields": fields}))

    assert found.managers == ("istio_ca", "helm")


def test_owners_labels_and_immutability_are_told() -> None:
    metadata = {
        "ownerReferences": [{"kind": "ExternalSecret", "name": "istio-ca"}],
        "labels": {"app": "x"},
        "annotations": {"a": "b"},
    }

    found = convert.ca_secret(secret({}, metadata=metadata, immutable=True, type="istio.io/ca-root"))

    assert found.owners == ("ExternalSecret istio-ca",)
    assert (found.labels, found.annotations) == ((("app", "x"),), (("a", "b"),))
    assert found.immutable
    assert found.type == "istio.io/ca-root"


# --- workload secrets -------------------------------------------------------------------------------


def workload_secret(root: str | None, chain: str | None) -> WorkloadSecretWire:
    return WorkloadSecretWire(data=WorkloadData(root=root, chain=chain))


LEAVES = {
    "missing": (None, "cert-chain.pem is missing or empty"),
    "empty": ("", "cert-chain.pem is missing or empty"),
    "not base64": ("%%%", "cert-chain.pem is not base64"),
    "no certificate": (encoded(b"hello"), "cert-chain.pem holds no certificate that Istio can read"),
}


@pytest.mark.parametrize(("chain", "fault"), LEAVES.values(), ids=LEAVES)
def test_a_leaf_that_cannot_be_read_is_a_fault(chain: str | None, fault: str) -> None:
    found = convert.workload_secret(workload_secret(encoded(ROOT), chain))

    assert found.leaf is None
    assert found.leaf_fault.startswith(fault)


CHAINS = {
    "alone": LEAF,
    "with its root behind it": LEAF + ROOT,
    "with Windows' line ends": LEAF.replace(b"\n", b"\r\n"),
    "with words before it": b"# the leaf\n" + LEAF,
    "without a last line end": LEAF.rstrip(b"\n"),
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_the_leaf_is_the_first_certificate_of_the_chain(chain: bytes) -> None:
    found = convert.workload_secret(workload_secret(encoded(ROOT), encoded(chain)))

    assert found.leaf is not None
    assert found.leaf.serial == 7
    assert found.leaf_fault == ""


def test_a_workload_secret_without_data_or_annotation_is_still_a_secret() -> None:
    found = convert.workload_secret(WorkloadSecretWire())

    assert found.service_account == ""
    assert found.root.faults == ("is empty",)
    assert found.leaf is None


def test_the_trust_config_map_is_encoded_twice() -> None:
    found = convert.trust_config_map(ConfigMapWire(data={"caTLSRootCert": encoded(ROOT)}))
    plain = convert.trust_config_map(ConfigMapWire(data={"caTLSRootCert": ROOT.decode()}))

    assert found.root.first is not None
    assert plain.root.faults == ("is not base64",)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-01T00:00:00Z", START),
        ("2026-01-01T00:00:00.000000Z", START),
        ("2026-01-01T01:00:00+01:00", START),
        ("2026-01-01T00:00:00", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_a_time_is_aware_or_none(text: str | None, time: datetime | None) -> None:
    assert convert.time_of(text) == time


# --- webhooks ---------------------------------------------------------------------------------------


def configuration(name: str, *, entry: str, service: dict[str, str] | None) -> WebhookConfiguration:
    hook = {"name": entry, "clientConfig": {"service": service} if service else {"url": "https://x"}}
    return msgspec.json.decode(
        json.dumps({"metadata": {"name": name}, "webhooks": [hook]}), type=WebhookConfiguration
    )


GALLEY = {"namespace": "istio-system", "name": "istio-galley"}
WEBHOOKS = {
    "Galley's": (configuration("istio-galley", entry="pilot.validation.istio.io", service=GALLEY), True),
    "renamed by a vendor": (configuration("acme-mesh", entry="inject.acme.example", service=GALLEY), True),
    "a revision's": (
        configuration(
            "istio-sidecar-injector-canary",
            entry="sidecar-injector.istio.io",
            service={"namespace": "istio-system", "name": "istiod-canary"},
        ),
        True,
    ),
    "by URL": (configuration("istio-galley", entry="pilot.validation.istio.io", service=None), True),
    "one that is served in another namespace": (
        configuration(
            "istio-galley-two",
            entry="pilot.validation.istio.io",
            service={"namespace": "istio-two", "name": "istio-galley"},
        ),
        True,
    ),
    "other software's in the same namespace": (
        configuration(
            "prometheus", entry="p.example", service={"namespace": "istio-system", "name": "prometheus"}
        ),
        False,
    ),
    "other software's by URL": (configuration("opa", entry="opa.example", service=None), False),
}


@pytest.mark.parametrize(("found", "ours"), WEBHOOKS.values(), ids=WEBHOOKS)
def test_a_webhook_is_istios_or_not(found: WebhookConfiguration, *, ours: bool) -> None:
    entry = (found.webhooks or [])[0]

    assert is_istios(found, entry) is ours


def test_a_webhook_that_cert_manager_fills_is_marked() -> None:
    found = msgspec.json.decode(
        b'{"metadata":{"annotations":{"cert-manager.io/inject-ca-from":"a/b"}},"webhooks":[{}]}',
        type=WebhookConfiguration,
    )

    hook = convert.webhook("MutatingWebhookConfiguration", found, (found.webhooks or [])[0])

    assert hook.injected
    assert hook.root.faults == ("is empty",)
    assert hook.service == ""
