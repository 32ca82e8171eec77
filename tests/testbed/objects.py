"""What a helm-installed Istio 1.5.10 with a self-signed Citadel looks like, as Kubernetes objects.

Names, labels, arguments, volumes and roles are those of the charts (install/kubernetes/helm/istio/charts of
Istio 1.5.10), as far as a program that looks after certificates can see them.
"""

from tests.testbed import stand_ins
from tests.testbed.api import Object
from tests.testbed.bed import NODE, custom_kind
from tests.testbed.build import CITADEL_VERSION
from tests.testbed.node import STANDS_FOR

SYSTEM = "istio-system"
HUB = "docker.io/istio"
NAMESPACES = (SYSTEM, "shop", "bank")
CITADEL_ACCOUNT = "istio-citadel-service-account"
SERVICE_ACCOUNTS = (
    (SYSTEM, CITADEL_ACCOUNT),
    (SYSTEM, "istio-pilot-service-account"),
    (SYSTEM, "istio-galley-service-account"),
    (SYSTEM, "istio-sidecar-injector-service-account"),
    ("default", "sleep"),
    ("default", "httpbin"),
    ("shop", "cart"),
    ("bank", "ledger"),
)
INJECTOR_WEBHOOK = "mutatingwebhookconfigurations/istio-sidecar-injector"
GALLEY_WEBHOOK = "validatingwebhookconfigurations/istio-galley"

# What node.py runs for a pod; mesh.py says how.
CITADEL, PILOT, GALLEY, INJECTOR = "citadel", "pilot", "galley", "sidecar-injector"
CLIENT, SERVER = "sleep", "httpbin"

# The rotator is off, and the Deployment says so: a test's root changes when the test changes it.
CITADEL_ENVIRONMENT = {
    "CITADEL_ENABLE_NAMESPACES_BY_DEFAULT": "true",
    "CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL": "0s",
    "CITADEL_ENABLE_JITTER_FOR_ROOT_CERT_ROTATOR": "false",
}
CITADEL_ARGUMENTS = (
    "--append-dns-names=true",
    "--grpc-port=8060",
    f"--citadel-storage-namespace={SYSTEM}",
    f"--custom-dns-names=istio-pilot-service-account.{SYSTEM}:istio-pilot.{SYSTEM}",
    "--monitoring-port=15014",
    "--self-signed-ca=true",
    "--trust-domain=cluster.local",
    "--workload-cert-ttl=2160h",
)


def kinds() -> tuple[Object, ...]:
    """Give the custom kinds that say whether a mesh uses mTLS."""
    authentication, networking = "authentication.istio.io", "networking.istio.io"
    return (
        custom_kind(authentication, "MeshPolicy", "meshpolicies", version="v1alpha1", namespaced=False),
        custom_kind(authentication, "Policy", "policies", version="v1alpha1"),
        custom_kind(networking, "DestinationRule", "destinationrules", version="v1alpha3"),
    )


def policies() -> tuple[Object, ...]:
    """Give mesh-wide strict mTLS: what `global.mtls.enabled` of the chart creates."""
    rule = {"host": "*.local", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}}
    return (
        {
            "apiVersion": "authentication.istio.io/v1alpha1",
            "kind": "MeshPolicy",
            "metadata": {"name": "default", "labels": {"release": "istio"}},
            "spec": {"peers": [{"mtls": {}}]},
        },
        {
            "apiVersion": "networking.istio.io/v1alpha3",
            "kind": "DestinationRule",
            "metadata": {"name": "default", "namespace": SYSTEM, "labels": {"release": "istio"}},
            "spec": rule,
        },
    )


def foundations() -> tuple[Object, ...]:
    """Give what must be there before the first pod: namespaces, accounts, Citadel's role, webhooks."""
    core = {"apiVersion": "v1"}
    return (
        *({**core, "kind": "Namespace", "metadata": {"name": name}} for name in NAMESPACES),
        *(
            {**core, "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
            for namespace, name in SERVICE_ACCOUNTS
        ),
        _mesh_configuration(),
        *_citadel_role(),
        *_webhooks(),
    )


def deployments() -> tuple[Object, ...]:
    """Give the control plane, the two ends of the mTLS traffic, and two workloads without a sidecar."""
    return (*_control_plane(), *_workloads())


def _mesh_configuration() -> Object:
    mesh = "trustDomain: cluster.local\nauthPolicy: NONE\nsdsUdsPath: ''\nenableAutoMtls: false\n"
    metadata = {"name": "istio", "namespace": SYSTEM, "labels": {"app": "istio", "release": "istio"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"mesh": mesh}}


def _citadel_role() -> tuple[Object, Object]:
    name, group = f"istio-citadel-{SYSTEM}", "rbac.authorization.k8s.io"
    metadata = {"name": name, "labels": {"app": "security", "release": "istio"}}
    rules = (
        (("",), ("configmaps",), ("create", "get", "update")),
        (("",), ("secrets",), ("create", "get", "watch", "list", "update", "delete")),
        (("",), ("serviceaccounts", "services", "namespaces"), ("get", "watch", "list")),
        (("authentication.k8s.io",), ("tokenreviews",), ("create",)),
    )
    role = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRole",
        "metadata": metadata,
        "rules": [{"apiGroups": groups, "resources": what, "verbs": verbs} for groups, what, verbs in rules],
    }
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": CITADEL_ACCOUNT, "namespace": SYSTEM}],
    }
    return role, binding


def _webhooks() -> tuple[Object, Object]:
    injector = _webhook_configuration(
        "MutatingWebhookConfiguration",
        "istio-sidecar-injector",
        labels={"app": "sidecarInjectorWebhook"},
        webhooks={"sidecar-injector.istio.io": "/inject"},
    )
    galley = _webhook_configuration(
        "ValidatingWebhookConfiguration",
        "istio-galley",
        labels={"app": "galley", "istio": "galley"},
        webhooks={"pilot.validation.istio.io": "/admitpilot", "mixer.validation.istio.io": "/admitmixer"},
    )
    return injector, galley


def _webhook_configuration(
    kind: str, name: str, *, labels: dict[str, str], webhooks: dict[str, str]
) -> Object:
    """Give webhooks that nothing is ever sent to: they are looked at, from both ends, and never called."""
    nothing = {"matchLabels": {"testbed.rootkeeper/never": "true"}}
    rule = {"apiGroups": ["never.testbed.rootkeeper"], "apiVersions": ["v1"], "resources": ["nothings"]}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": {**labels, "release": "istio"}},
        "webhooks": [
            {
                "name": webhook,
                "admissionReviewVersions": ["v1", "v1beta1"],
                "clientConfig": {"service": {"name": name, "namespace": SYSTEM, "path": path}},
                "failurePolicy": "Ignore",
                "namespaceSelector": nothing,
                "rules": [{**rule, "operations": ["CREATE"]}],
                "sideEffects": "None",
            }
            for webhook, path in webhooks.items()
        ],
    }


def _control_plane() -> tuple[Object, ...]:
    pilot_proxy = ("proxy", "--serviceCluster", "istio-pilot", "--controlPlaneAuthPolicy", "MUTUAL_TLS")
    return (
        _control_plane_part(
            "istio-citadel",
            {"app": "security", "istio": "citadel"},
            [_container("citadel", "citadel", arguments=CITADEL_ARGUMENTS, environment=CITADEL_ENVIRONMENT)],
            stands_for=CITADEL,
        ),
        _control_plane_part(
            "istio-pilot",
            {"app": "pilot", "istio": "pilot"},
            [
                _container("discovery", "pilot", arguments=("discovery",), certificates="/etc/certs"),
                _container(stand_ins.PROXY, "proxyv2", arguments=pilot_proxy, certificates="/etc/certs"),
            ],
            stands_for=PILOT,
        ),
        _control_plane_part(
            "istio-galley",
            {"app": "galley", "istio": "galley"},
            [_container("galley", "galley", arguments=("server",), certificates="/etc/certs")],
            stands_for=GALLEY,
        ),
        _control_plane_part(
            "istio-sidecar-injector",
            {"app": "sidecarInjectorWebhook", "istio": "sidecar-injector"},
            [_container("sidecar-injector-webhook", "sidecar_injector", certificates="/etc/istio/certs")],
            stands_for=INJECTOR,
        ),
    )


def _control_plane_part(
    name: str, labels: dict[str, str], containers: list[Object], *, stands_for: str
) -> Object:
    account = f"{name}-service-account"
    mounted = any("volumeMounts" in container for container in containers)
    return _deployment(
        (SYSTEM, name),
        labels={**labels, "chart": labels["app"], "heritage": "Tiller", "release": "istio"},
        selector={"istio": labels["istio"]},
        annotations={"sidecar.istio.io/inject": "false", STANDS_FOR: stands_for},
        pod={"serviceAccountName": account, "containers": containers}
        | ({"volumes": [_certificates(account, optional=False)]} if mounted else {}),
    )


def _workloads() -> tuple[Object, ...]:
    sidecar = '{"containers":["istio-proxy"],"volumes":["istio-envoy","istio-certs"]}'
    with_sidecar = (
        _deployment(
            ("default", name),
            labels={"app": name},
            selector={"app": name},
            annotations={"sidecar.istio.io/status": sidecar, STANDS_FOR: name},
            pod={
                "serviceAccountName": name,
                "containers": [
                    {"name": "app", "image": f"docker.io/example/{name}:1"},
                    _container(
                        stand_ins.PROXY,
                        "proxyv2",
                        arguments=("proxy", "sidecar", "--serviceCluster", f"{name}.default"),
                        certificates="/etc/certs",
                    ),
                ],
                "volumes": [_certificates(name, optional=True)],
            },
        )
        for name in (CLIENT, SERVER)
    )
    without_sidecar = (
        _deployment(
            (namespace, name),
            labels={"app": name},
            selector={"app": name},
            annotations={"sidecar.istio.io/inject": "false"},
            pod={
                "serviceAccountName": name,
                "containers": [{"name": "app", "image": f"docker.io/example/{name}:1"}],
            },
        )
        for namespace, name in (("shop", "cart"), ("bank", "ledger"))
    )
    return (*with_sidecar, *without_sidecar)


def _deployment(
    where: tuple[str, str],
    *,
    labels: dict[str, str],
    selector: dict[str, str],
    annotations: dict[str, str],
    pod: Object,
) -> Object:
    namespace, name = where
    template = {"metadata": {"labels": labels, "annotations": annotations}, "spec": {**pod, "nodeName": NODE}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": selector},
            "strategy": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": "25%"}},
            "template": template,
        },
    }


def _container(
    name: str,
    image: str,
    *,
    arguments: tuple[str, ...] = (),
    environment: dict[str, str] | None = None,
    certificates: str | None = None,
) -> Object:
    container: Object = {"name": name, "image": f"{HUB}/{image}:{CITADEL_VERSION}", "args": list(arguments)}
    if environment:
        container["env"] = [{"name": key, "value": value} for key, value in environment.items()]
    if certificates:
        mount = {"name": "istio-certs", "mountPath": certificates, "readOnly": True}
        container["volumeMounts"] = [mount]
    return container


def _certificates(service_account: str, *, optional: bool) -> Object:
    secret = {"secretName": f"istio.{service_account}", "optional": optional}
    return {"name": "istio-certs", "secret": secret}
