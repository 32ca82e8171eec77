"""Who else keeps the CA secret, told from the traces that its keeper leaves on it.

Citadel makes its secret without labels, annotations and owners, whatever Citadel itself was installed
with. So every mark of a tool on it says that the tool writes it, or removes it when it is gone from
its source. Source: facts/istio.md, 3.0 (P2) and 6.1, and the tools' own documentation.
"""

from collections.abc import Iterator

from bot.core.mesh import CaSecret

INSTANCE = "app.kubernetes.io/instance"
"""By this label Argo CD knows its own until 2.x, and Helm charts give it to all they render."""

MANAGED_BY = "app.kubernetes.io/managed-by"

MARKS = (
    INSTANCE,
    "argocd.argoproj.io/",
    "cert-manager.io/",
    "fluxcd.io/",
    "helm.sh/",
    "helm.toolkit.fluxcd.io/",
    "kustomize.toolkit.fluxcd.io/",
    "meta.helm.sh/",
    "reconcile.external-secrets.io/",
    "reflector.v1.k8s.emberstack.com/auto-reflects",
    "reflector.v1.k8s.emberstack.com/reflected",
    "reflector.v1.k8s.emberstack.com/reflects",
    "sealedsecrets.bitnami.com/",
    "vault.security.banzaicloud.io/",
)
"""How labels and annotations of such tools begin."""

HARMLESS = (("cert-manager.io/allow-direct-injection", "true"), (MANAGED_BY, "istiod"))
"""The one lets cert-manager read the secret, the other is Istio's own; neither writes it."""

HERITAGE = ("heritage", ("Helm", "Tiller"))
"""What charts of Helm 2's time, Istio's own among them, put on what they render."""

WRITERS = (
    "argocd",
    "external-secrets",
    "flux",
    "helm",
    "kustomize-controller",
    "sealed-secrets",
)
"""How the field managers of such tools begin, in lower case."""


def keepers(secret: CaSecret) -> tuple[str, ...]:
    """Every trace of somebody who would put the old root back, in words; empty when there is none."""
    return (
        *(f"owned by {owner}" for owner in secret.owners),
        *(f"{key}={value}" for key, value in _marks(secret)),
        *(f"written by {name}" for name in secret.managers if name.lower().startswith(WRITERS)),
    )


def _marks(secret: CaSecret) -> Iterator[tuple[str, str]]:
    heritage, helms = HERITAGE
    for key, value in (*secret.labels, *secret.annotations):
        by_helm = key == heritage and value in helms
        if (key, value) not in HARMLESS and (key.startswith(MARKS) or key == MANAGED_BY or by_helm):
            yield key, value
