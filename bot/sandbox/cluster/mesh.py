"""The control plane of a scene: namespaces, Citadel and its CA, Pilot, Galley, injector, Mixer, gateway.

Source: the helm charts of Istio 1.1 to 1.4 (names, labels, volumes, webhooks).
"""

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING

from bot.sandbox.cluster.certificates import key_pem
from bot.sandbox.cluster.citadel import ca_secret
from bot.sandbox.cluster.objects import Json
from bot.sandbox.cluster.stage import Stage, container, gateway, secret_volume, sidecar, template
from bot.sandbox.cluster.versions import has_rotator, older
from bot.sandbox.cluster.workloads import secret_name

if TYPE_CHECKING:
    from bot.sandbox.cluster.scene import Scene

_SYSTEM_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_GALLEY_PORTS = (443, 15014, 9901)  # validation, monitoring, MCP; the injector's chart declares none
_INTERVAL = "CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL"


def furnish(stage: Stage, scene: "Scene") -> None:
    """Everything but the applications."""
    _namespaces(stage, scene)
    _custody(stage, scene)
    _settings(stage, scene)
    _citadel(stage, scene)
    for part in _parts(scene):
        _component(stage, scene, part)
    if scene.webhooks:
        _webhooks(stage)


def _namespaces(stage: Stage, scene: "Scene") -> None:
    for name in (*_SYSTEM_NAMESPACES, scene.system, scene.home):
        namespace(stage, name)
        stage.account(name, "default")
        stage.issue(name, "default")
    for number in (1, 2, 3):
        stage.add(
            "v1", "Node", f"node-{number}", status={"conditions": [{"type": "Ready", "status": "True"}]}
        )
    stage.account(scene.home, "rootkeeper")
    stage.issue(scene.home, "rootkeeper")


def namespace(stage: Stage, name: str, labels: Mapping[str, str] | None = None) -> None:
    """A namespace."""
    named = {"kubernetes.io/metadata.name": name, **(labels or {})}
    stage.add("v1", "Namespace", name, labels=named, status={"phase": "Active"})


def _custody(stage: Stage, scene: "Scene") -> None:
    """The CA's secret or secrets, and what the bot's manifests make beside it."""
    assert stage.authority is not None
    if scene.plugged_in:
        _plug_in(stage, scene)
    else:
        value = ca_secret(scene.system, stage.authority, version=scene.citadel_version)
        for field, extra in (("labels", scene.ca_labels), ("annotations", scene.ca_annotations)):
            if extra:
                value["metadata"][field] = dict(extra)
        stage.put(value)
    stage.add("v1", "Secret", "rootkeeper-backup", namespace=scene.system, type="Opaque")
    stage.add("coordination.k8s.io/v1", "Lease", "rootkeeper", namespace=scene.system, spec={})


def _plug_in(stage: Stage, scene: "Scene") -> None:
    """A CA brought along: the self-signed secret is not there."""
    assert stage.authority is not None
    bundle = stage.authority.bundle
    files = {
        "ca-cert.pem": bundle,
        "ca-key.pem": key_pem(stage.authority.key),
        "root-cert.pem": bundle,
        "cert-chain.pem": b"",
    }
    data = {name: base64.b64encode(content).decode() for name, content in files.items()}
    stage.add("v1", "Secret", "cacerts", namespace=scene.system, type="Opaque", data=data)


def _settings(stage: Stage, scene: "Scene") -> None:
    assert stage.authority is not None
    system = scene.system
    mutual = str(scene.mutual_tls) == "on"
    text = (
        f"disablePolicyChecks: true\nenableTracing: true\ntrustDomain: {scene.trust_domain}\n"
        f'rootNamespace: {system}\nsdsUdsPath: ""\ndefaultConfig:\n  configPath: /etc/istio/proxy\n'
        f"  discoveryAddress: istio-pilot.{system}:{15011 if mutual else 15010}\n"
        f"  controlPlaneAuthPolicy: {'MUTUAL_TLS' if mutual else 'NONE'}\n"
    )
    if not older(scene.citadel_version, "1.4.0"):
        text += f"enableAutoMtls: {'true' if scene.automatic_tls else 'false'}\n"
    stage.add("v1", "ConfigMap", "istio", namespace=system, labels={"app": "istio"}, data={"mesh": text})
    if not older(scene.citadel_version, "1.1.0"):
        data = {"caTLSRootCert": stage.authority.root64}
        stage.add("v1", "ConfigMap", "istio-security", namespace=system, data=data)
    _policies(stage, scene)


def _policies(stage: Stage, scene: "Scene") -> None:
    mode = {"on": {}, "planned": {"mode": "PERMISSIVE"}}.get(str(scene.mutual_tls))
    if mode is None:
        return
    spec: Json = {"peers": [{"mtls": mode}]}
    policy = stage.add("authentication.istio.io/v1alpha1", "MeshPolicy", "default", spec=spec)
    policy["metadata"]["generation"] = 1
    if not mode:
        traffic = {"host": "*.local", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}}
        rule = stage.add(
            "networking.istio.io/v1alpha3",
            "DestinationRule",
            "default",
            namespace=scene.system,
            spec=traffic,
        )
        rule["metadata"]["generation"] = 1


def _citadel(stage: Stage, scene: "Scene") -> None:
    account = "istio-citadel-service-account"
    _account(stage, scene.system, account)
    labels = {"app": "security", "istio": "citadel"}
    arguments = [
        "--append-dns-names=true",
        "--grpc-port=8060",
        f"--citadel-storage-namespace={scene.system}",
        "--custom-dns-names=istio-pilot-service-account.istio-system:istio-pilot.istio-system",
        "--monitoring-port=15014",
        f"--trust-domain={scene.trust_domain}",
        "--workload-cert-ttl=2160h",
        *_authority_arguments(scene),
    ]
    image = f"docker.io/istio/citadel:{scene.citadel_version}"
    citadel = container("citadel", image, args=arguments)
    if has_rotator(scene.citadel_version) and not scene.rotator:
        citadel["env"] = [{"name": _INTERVAL, "value": "0s"}]
    volumes = [secret_volume("cacerts", "cacerts")] if scene.plugged_in else None
    made = template(labels, account=account, containers=[citadel], volumes=volumes)
    stage.deployment(
        "istio-citadel",
        namespace=scene.system,
        replicas=scene.citadel_replicas,
        template=made,
        labels={**labels, "chart": "security", "release": "istio"},
    )


def _authority_arguments(scene: "Scene") -> list[str]:
    if not scene.plugged_in:
        return ["--self-signed-ca=true"]
    files = {"signing-cert": "ca-cert", "signing-key": "ca-key", "root-cert": "root-cert"}
    plugged = [f"--{flag}=/etc/cacerts/{file}.pem" for flag, file in files.items()]
    return ["--self-signed-ca=false", *plugged, "--cert-chain=/etc/cacerts/cert-chain.pem"]


def _account(stage: Stage, system: str, name: str) -> None:
    stage.account(system, name)
    stage.issue(system, name)


def _parts(scene: "Scene") -> tuple[Json, ...]:
    """Deployments beside Citadel: name, label ``istio``, account, first container, with sidecar or not."""
    pilot = scene.pilot_sidecar
    return (
        _part("istio-pilot", "pilot", "discovery", sidecar=pilot),
        _part("istio-galley", "galley", "galley", sidecar=False),
        _part("istio-sidecar-injector", "sidecar-injector", "sidecar-injector-webhook", sidecar=False),
        _part("istio-policy", "mixer", "mixer", account="istio-mixer-service-account", sidecar=True),
        _part("istio-telemetry", "mixer", "mixer", account="istio-mixer-service-account", sidecar=True),
        _part("istio-ingressgateway", "ingressgateway", "", sidecar=True),
    )


def _part(name: str, label: str, first: str, *, sidecar: bool, account: str = "") -> Json:
    account = account or f"{name}-service-account"
    return {"name": name, "label": label, "first": first, "account": account, "sidecar": sidecar}


def _component(stage: Stage, scene: "Scene", part: Json) -> None:
    account = part["account"]
    if not any(
        each["kind"] == "ServiceAccount" and each["metadata"]["name"] == account for each in stage.objects
    ):
        _account(stage, scene.system, account)
    app = part["name"].removeprefix("istio-") if part["label"] == "mixer" else part["label"]
    labels = {"app": app, "istio": part["label"]}
    if part["label"] == "mixer":
        labels["istio-mixer-type"] = app
    made = template(
        labels,
        account=account,
        containers=_containers(scene, part),
        volumes=[secret_volume("istio-certs", secret_name(account))],
    )
    stage.deployment(part["name"], namespace=scene.system, replicas=1, template=made, labels=labels)


def _containers(scene: "Scene", part: Json) -> list[Json]:
    found = []
    if part["first"]:
        image = part["label"].replace("-", "_")
        mount = "/etc/istio/certs" if part["label"] == "sidecar-injector" else "/etc/certs"
        full = f"docker.io/istio/{image}:{scene.citadel_version}"
        ports = {"ports": [{"containerPort": each} for each in _GALLEY_PORTS]} if image == "galley" else {}
        found.append(container(part["first"], full, mount=mount, volume="istio-certs", **ports))
    if part["sidecar"]:
        key = f"{scene.system}/{part['account']}"
        version = scene.proxy_versions.get(key, scene.proxy_version)
        found.append(sidecar(version) if part["first"] else gateway(part["label"], version))
    return found


def _webhooks(stage: Stage) -> None:
    assert stage.authority is not None
    group = "admissionregistration.k8s.io/v1"
    hooks = (
        ("MutatingWebhookConfiguration", "istio-sidecar-injector", ("sidecar-injector.istio.io",)),
        (
            "ValidatingWebhookConfiguration",
            "istio-galley",
            ("pilot.validation.istio.io", "mixer.validation.istio.io"),
        ),
    )
    for kind, name, names in hooks:
        webhooks = [_webhook(each, name, stage) for each in names]
        made = stage.add(group, kind, name, labels={"app": name.removeprefix("istio-")}, webhooks=webhooks)
        made["metadata"]["generation"] = 1


def _webhook(name: str, service: str, stage: Stage) -> Json:
    assert stage.authority is not None
    target = {"service": {"name": service, "namespace": stage.system, "path": "/admit", "port": 443}}
    return {
        "name": name,
        "clientConfig": {**target, "caBundle": stage.authority.root64},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1beta1"],
    }
