"""Reads what holds a copy of the root: workload secrets, `istio-security`, admission webhooks."""

from collections import defaultdict
from dataclasses import dataclass

from bot.core.mesh import NamespaceFacts, Part, TrustConfigMap, Webhook, WorkloadSecret
from bot.core.names import TRUST_CONFIG_MAP
from bot.edges.kube import convert
from bot.edges.kube.look import Look, as_is
from bot.edges.kube.targets import (
    CONFIG_MAPS,
    MUTATING_WEBHOOKS,
    SECRETS,
    SERVICE_ACCOUNTS,
    VALIDATING_WEBHOOKS,
)
from bot.edges.kube.wire import (
    CONFIG_MAP,
    NAMED_PAGE,
    WEBHOOK_PAGE,
    WORKLOAD_SECRET_PAGE,
    Named,
    WebhookConfiguration,
    WebhookEntry,
)

WORKLOAD_SECRETS = "type=istio.io/key-and-cert"

MESH_SERVICES = ("istio-galley", "istio-pilot", "istio-sidecar-injector", "istiod")
"""Services that the mesh's webhooks call; with a revision behind them, too: `istiod-canary`."""

_KINDS = (
    ("MutatingWebhookConfiguration", MUTATING_WEBHOOKS),
    ("ValidatingWebhookConfiguration", VALIDATING_WEBHOOKS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretHolders:
    """The part SECRETS of a snapshot."""

    namespaces: tuple[NamespaceFacts, ...] = ()
    secrets: tuple[WorkloadSecret, ...] = ()
    trust: TrustConfigMap | None = None


def read_secret_holders(look: Look) -> SecretHolders:
    """Read the part SECRETS."""
    secrets = look.everywhere(
        Part.SECRETS,
        "Secrets",
        SECRETS,
        WORKLOAD_SECRET_PAGE,
        convert.workload_secret,
        query=[("fieldSelector", WORKLOAD_SECRETS)],
    )
    return SecretHolders(namespaces=_namespaces(look), secrets=tuple(secrets), trust=_trust(look))


def _namespaces(look: Look) -> tuple[NamespaceFacts, ...]:
    found = look.namespaces(Part.SECRETS) or ()
    accounts = _service_accounts(look)
    return tuple(
        convert.namespace_facts(
            each, None if accounts is None else accounts.get(each.metadata.name, frozenset())
        )
        for each in found
    )


def _service_accounts(look: Look) -> dict[str, frozenset[str]] | None:
    """Names by namespace; None when they cannot all be listed (a half list would make orphans)."""
    missed = len(look.unread)
    found = look.everywhere(
        Part.SECRETS, "ServiceAccounts", SERVICE_ACCOUNTS, NAMED_PAGE, _place, metadata_only=True
    )
    if len(look.unread) > missed:
        return None
    names: defaultdict[str, set[str]] = defaultdict(set)
    for namespace, name in found:
        names[namespace].add(name)
    return {namespace: frozenset(each) for namespace, each in names.items()}


def _place(found: Named) -> tuple[str, str]:
    return found.metadata.namespace, found.metadata.name


def _trust(look: Look) -> TrustConfigMap | None:
    target = CONFIG_MAPS.within(look.namespace).named(TRUST_CONFIG_MAP)
    return look.one(
        Part.SECRETS,
        f"ConfigMap {look.namespace}/{TRUST_CONFIG_MAP}",
        lambda: convert.trust_config_map(look.client.get(target, CONFIG_MAP)),
        absent=None,
        unread=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhooks:
    """Istio's admission webhooks."""

    own: tuple[Webhook, ...] = ()
    elsewhere: tuple[Webhook, ...] = ()
    """Those that call a Service in another namespace."""


def read_webhooks(look: Look) -> Webhooks:
    """Read the part WEBHOOKS: every entry that is Istio's."""
    found = [
        convert.webhook(kind, configuration, entry)
        for kind, target in _KINDS
        for configuration in look.cluster_wide(Part.WEBHOOKS, f"{kind}s", target, WEBHOOK_PAGE, as_is)
        for entry in configuration.webhooks or ()
        if is_istios(configuration, entry)
    ]
    here = ("", look.namespace)
    return Webhooks(
        own=tuple(hook for hook in found if hook.service.partition("/")[0] in here),
        elsewhere=tuple(hook for hook in found if hook.service.partition("/")[0] not in here),
    )


def is_istios(configuration: WebhookConfiguration, entry: WebhookEntry) -> bool:
    """Whether a webhook is one of Istio's, by its name or by the Service that it calls.

    Other software's webhooks have CAs of their own, also beside the control plane.
    """
    service = entry.client_config.service
    ours = entry.name.endswith(".istio.io") or configuration.metadata.name.startswith(MESH_SERVICES)
    return ours or (service is not None and service.name.startswith(MESH_SERVICES))
