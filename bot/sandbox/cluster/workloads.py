"""The secret that Citadel keeps for a service account."""

import base64
from datetime import datetime

from bot.sandbox.cluster.certificates import Authority, leaf_certificate, leaf_key_pem
from bot.sandbox.cluster.objects import Json

SECRET_TYPE = "istio.io/key-and-cert"  # noqa: S105
ANNOTATION = "istio.io/service-account.name"

_DNS = {
    "istio-pilot-service-account": "istio-pilot",
    "istio-galley-service-account": "istio-galley",
    "istio-sidecar-injector-service-account": "istio-sidecar-injector",
}


def secret_name(account: str) -> str:
    """The name of an account's secret."""
    return f"istio.{account}"


def secret(namespace: str, account: str, data: dict[str, str]) -> Json:
    """The secret as Citadel creates it: no labels, no owner."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": secret_name(account),
            "namespace": namespace,
            "annotations": {ANNOTATION: account},
        },
        "data": data,
        "type": SECRET_TYPE,
    }


def issued(
    authority: Authority, *, namespace: str, account: str, trust_domain: str, now: datetime, key_number: int
) -> dict[str, str]:
    """New ``data`` for an account's secret: leaf, key and the authority's whole bundle."""
    service = _DNS.get(account)
    names = (f"{service}.{namespace}.svc", f"{service}.{namespace}") if service else ()
    chain = leaf_certificate(
        authority,
        spiffe=f"spiffe://{trust_domain}/ns/{namespace}/sa/{account}",
        names=names,
        key_number=key_number,
        not_before=now.replace(microsecond=0),
    )
    return {
        "cert-chain.pem": base64.b64encode(chain).decode(),
        "key.pem": base64.b64encode(leaf_key_pem(key_number)).decode(),
        "root-cert.pem": authority.root64,
    }
