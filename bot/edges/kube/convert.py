"""Turns secrets, namespaces and webhooks from the wire into the values of `core.mesh`.

Base64 and PEM that cannot be read become faults in words, never exceptions: a broken secret is a
finding of the check that reads it.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from bot.core.certificates import Bundle, Certificate, KeyFacts, describe_key, read_bundle, read_der
from bot.core.mesh import (
    CaSecret,
    NamespaceFacts,
    ObjectRef,
    SecretState,
    TrustConfigMap,
    Webhook,
    WorkloadSecret,
)
from bot.core.names import ROOT_KEY
from bot.edges.kube.wire import (
    ConfigMapWire,
    ManagedMeta,
    Meta,
    NamespaceWire,
    WebhookConfiguration,
    WebhookEntry,
    WholeSecret,
    WorkloadData,
    WorkloadSecretWire,
)

PRIVATE_KEY = "ca-key.pem"
TRUST_KEY = "caTLSRootCert"
SERVICE_ACCOUNT = "istio.io/service-account.name"
OVERRIDE_LABEL = "ca.istio.io/override"
ENVIRONMENT_LABEL = "ca.istio.io/env"
INJECTORS = (
    "cert-manager.io/inject-ca-from",
    "cert-manager.io/inject-ca-from-secret",
    "cert-manager.io/inject-apiserver-ca",
    "certmanager.k8s.io/inject-ca-from",
)
"""Annotations by which cert-manager's cainjector (old and new) is told to fill a caBundle."""

NOT_BASE64 = "is not base64"

_BEGIN = b"-----BEGIN CERTIFICATE-----\n"
_END = b"\n-----END CERTIFICATE-----\n"


def pairs(values: dict[str, str] | None) -> tuple[tuple[str, str], ...]:
    """Labels or annotations, sorted by key."""
    return tuple(sorted((values or {}).items()))


def time_of(text: str | None) -> datetime | None:
    """An RFC 3339 time, aware UTC; None when there is none or it is none."""
    try:
        parsed = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return parsed.astimezone(UTC) if parsed and parsed.tzinfo else None


def value_of(encoded: str) -> bytes | None:
    """A value of a secret's `data`; None when it is not base64."""
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None


@lru_cache(maxsize=64)
def bundle_of(encoded: str | None) -> Bundle:
    """The certificates of a base64 value; absent is like empty. Cached: copies of one root abound."""
    value = value_of(encoded or "")
    if value is not None:
        return read_bundle(value)
    digest = hashlib.sha256((encoded or "").encode()).hexdigest()
    return Bundle(certificates=(), faults=(NOT_BASE64,), digest=digest)


def state_of(secret: WholeSecret) -> SecretState:
    """The state of a secret's data."""
    return SecretState(
        uid=secret.metadata.uid,
        resource_version=secret.metadata.resource_version,
        digests=digests_of(secret.data or {}),
    )


def digests_of(data: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """(key, SHA-256 over the decoded value), sorted; over the text itself where it is not base64."""
    return tuple((key, _digest(data[key])) for key in sorted(data))


def _digest(encoded: str) -> str:
    value = value_of(encoded)
    return hashlib.sha256(encoded.encode() if value is None else value).hexdigest()


Describe = Callable[[bytes], KeyFacts]


class DescribedKey:
    """Describes a private key, and remembers what it said of the latest by its digest.

    Reading an RSA key proves its primes: 60 ms in which Python runs no other thread, at every look.
    """

    def __init__(self) -> None:
        self._latest = ("", KeyFacts(public_key_digest="", kind="", fault=""))

    def __call__(self, pem: bytes) -> KeyFacts:
        """As `describe_key`; keeps nothing of the key."""
        digest, (known, facts) = hashlib.sha256(pem).hexdigest(), self._latest
        if digest != known:
            facts = describe_key(pem)
            self._latest = (digest, facts)
        return facts


def ca_secret(secret: WholeSecret, describe: Describe = describe_key) -> CaSecret:
    """The CA secret, without its key: only facts about that stay."""
    data, meta = secret.data or {}, secret.metadata
    return CaSecret(
        ref=ObjectRef(kind="Secret", namespace=meta.namespace, name=meta.name),
        type=secret.type,
        state=state_of(secret),
        immutable=bool(secret.immutable),
        root=bundle_of(data.get(ROOT_KEY)),
        key=_key_facts(data.get(PRIVATE_KEY), describe),
        labels=pairs(meta.labels),
        annotations=pairs(meta.annotations),
        owners=tuple(f"{owner.kind} {owner.name}" for owner in meta.owner_references or ()),
        managers=data_managers(meta),
        faults=_data_faults(data),
    )


def _key_facts(encoded: str | None, describe: Describe) -> KeyFacts:
    if encoded is None:
        return KeyFacts(public_key_digest="", kind="", fault=f"the secret has no {PRIVATE_KEY}")
    value = value_of(encoded)
    if value is None:
        return KeyFacts(public_key_digest="", kind="", fault=f"{PRIVATE_KEY} {NOT_BASE64}")
    return describe(value)


def _data_faults(data: dict[str, str]) -> tuple[str, ...]:
    if not data:
        return ("holds no data at all",)
    return tuple(f"{key} {NOT_BASE64}" for key in sorted(data) if value_of(data[key]) is None)


def data_managers(meta: ManagedMeta) -> tuple[str, ...]:
    """Names of the field managers that wrote `data`, latest last."""
    wrote = [m for m in meta.managed_fields or () if m.fields and "f:data" in m.fields]
    return tuple(m.manager for m in sorted(wrote, key=lambda m: m.time))


def workload_secret(secret: WorkloadSecretWire) -> WorkloadSecret:
    """A workload secret: its root and its leaf."""
    data = secret.data or WorkloadData()
    leaf, fault = _leaf(data.chain)
    return WorkloadSecret(
        ref=ObjectRef(kind="Secret", namespace=secret.metadata.namespace, name=secret.metadata.name),
        service_account=(secret.metadata.annotations or {}).get(SERVICE_ACCOUNT, ""),
        root=bundle_of(data.root),
        leaf=leaf,
        leaf_fault=fault,
        created_at=time_of(secret.metadata.creation_timestamp),
    )


def _leaf(encoded: str | None) -> tuple[Certificate | None, str]:
    if not encoded:
        return None, "cert-chain.pem is missing or empty"
    value = value_of(encoded)
    if value is None:
        return None, f"cert-chain.pem {NOT_BASE64}"
    leaf = _first_certificate(value)
    if leaf is not None:
        return leaf, ""
    bundle = read_bundle(value)
    return bundle.first, "" if bundle.first else f"cert-chain.pem {'; '.join(bundle.faults)}"


def _first_certificate(pem: bytes) -> Certificate | None:
    """The first certificate of plain PEM, fast; None sends the caller to the careful reader.

    Ten thousand leaves differ, so `read_bundle`'s cache is of no use here, and its line by line
    reading costs four times as much.
    """
    end = pem.find(_END)
    if not pem.startswith(_BEGIN) or end < 0:
        return None
    try:
        der = base64.b64decode(pem[len(_BEGIN) : end].replace(b"\n", b""), validate=True)
    except binascii.Error:
        return None
    leaf = read_der(der)
    return leaf if isinstance(leaf, Certificate) else None


def namespace_facts(found: NamespaceWire, accounts: frozenset[str] | None) -> NamespaceFacts:
    """What decides whether Citadel looks after a namespace."""
    labels = found.metadata.labels or {}
    return NamespaceFacts(
        name=found.metadata.name,
        terminating=found.status.phase == "Terminating" or found.metadata.deletion_timestamp is not None,
        override=labels.get(OVERRIDE_LABEL, ""),
        environment=labels.get(ENVIRONMENT_LABEL, ""),
        service_accounts=accounts,
    )


def trust_config_map(found: ConfigMapWire) -> TrustConfigMap:
    """`istio-security`: its value is base64 of PEM inside a ConfigMap, whose values are plain text."""
    return TrustConfigMap(
        ref=ref_of("ConfigMap", found.metadata),
        root=bundle_of((found.data or {}).get(TRUST_KEY)),
    )


def webhook(kind: str, found: WebhookConfiguration, entry: WebhookEntry) -> Webhook:
    """One entry of a webhook configuration."""
    service = entry.client_config.service
    annotations = found.metadata.annotations or {}
    return Webhook(
        ref=ObjectRef(kind=kind, name=found.metadata.name),
        entry=entry.name,
        root=bundle_of(entry.client_config.ca_bundle),
        injected=any(name in annotations for name in INJECTORS),
        service=f"{service.namespace}/{service.name}" if service else "",
    )


def ref_of(kind: str, meta: Meta) -> ObjectRef:
    """An object's name."""
    return ObjectRef(kind=kind, namespace=meta.namespace, name=meta.name)
