"""The test bed is what it claims to be: a real mesh. Everything else in this layer rests on it."""

import base64
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.real.asking import certificates_by_exec, certificates_by_port_forward, served
from tests.testbed import build, processes
from tests.testbed.bed import TestBed
from tests.testbed.mesh import CA_SECRET, CITADEL_DEPLOYMENT, CitadelMesh

CONVERGED_SECONDS = 150.0  # Citadel's resync is 60 s; a busy machine is slower
CITADEL = "system:serviceaccount:istio-system:istio-citadel-service-account"


def test_the_api_server_is_the_pinned_kubernetes(bed: TestBed) -> None:
    version = json.loads(bed.kubectl("version", "--output", "json"))["serverVersion"]

    assert version["gitVersion"] == build.KUBERNETES_VERSION == "v1.37.2"
    assert (version["major"], version["minor"]) == ("1", "37")


def test_a_service_account_can_do_what_its_roles_allow_and_nothing_else(bed: TestBed) -> None:
    kubeconfig = bed.kubeconfig_for("default", "default")

    with pytest.raises(RuntimeError, match="Forbidden"):
        bed.kubectl("get", "secrets", "--all-namespaces", kubeconfig=kubeconfig)

    assert "system:serviceaccount:default:default" in bed.kubectl("auth", "whoami", kubeconfig=kubeconfig)


def test_citadel_makes_a_secret_with_its_root_for_each_service_account(mesh: CitadelMesh) -> None:
    roots = mesh.workload_roots()

    assert roots.keys() == mesh.expected_secrets()
    assert set(roots.values()) == {mesh.root()}


def test_the_first_root_lives_as_short_as_asked(mesh: CitadelMesh) -> None:
    root = x509.load_pem_x509_certificate(mesh.root())

    assert root.not_valid_after_utc - root.not_valid_before_utc == timedelta(days=12)


def test_citadel_keeps_its_root_in_a_config_map_twice_encoded(mesh: CitadelMesh) -> None:
    data = mesh.bed.api().get("/api/v1/namespaces/istio-system/configmaps/istio-security")["data"]

    assert data.keys() == {"caTLSRootCert"}
    assert base64.b64decode(data["caTLSRootCert"]) == mesh.root()


def test_webhooks_carry_the_root(mesh: CitadelMesh) -> None:
    assert _webhook_bundles(mesh) == {mesh.root()}


def test_webhook_servers_show_their_mounted_certificates_through_a_port_forward(mesh: CitadelMesh) -> None:
    root = x509.load_pem_x509_certificate(mesh.root())

    for label in ("galley", "sidecarInjectorWebhook"):
        (pod,) = mesh.pods(label, namespace="istio-system")
        shown = x509.load_der_x509_certificate(served(mesh, "istio-system", pod["metadata"]["name"]))
        account = pod["spec"]["serviceAccountName"]

        shown.verify_directly_issued_by(root)
        assert shown.public_bytes(serialization.Encoding.PEM) == mesh.workload_leaf(
            f"istio-system/istio.{account}"
        )


def test_requests_pass_over_mutual_tls(mesh: CitadelMesh) -> None:
    with mesh.probe() as probe:
        time.sleep(5)

    result = probe.result()
    assert result.failed == 0, result.failures
    assert result.total > 100
    assert _handshakes(mesh) > 100


def test_exec_asks_the_envoy_of_that_very_pod(mesh: CitadelMesh) -> None:
    answers = {pod: certificates_by_exec(mesh, *pod) for pod in mesh.proxies()}

    assert sorted(_identity(answer) for answer in answers.values()) == [
        "spiffe://cluster.local/ns/default/sa/httpbin",
        "spiffe://cluster.local/ns/default/sa/sleep",
        "spiffe://cluster.local/ns/istio-system/sa/istio-pilot-service-account",
    ]


def test_port_forward_leads_to_the_same_envoy_as_exec(mesh: CitadelMesh) -> None:
    for namespace, name in mesh.proxies():
        forwarded = certificates_by_port_forward(mesh, namespace, name)

        assert forwarded == certificates_by_exec(mesh, namespace, name)


def test_the_audit_log_tells_who_wrote_what(mesh: CitadelMesh) -> None:
    written = [
        (event.user, event.verb, event.status)
        for event in mesh.bed.audit_events()
        if event.resource == "secrets" and event.name == "istio-ca-secret" and event.verb == "create"
    ]

    assert written == [(CITADEL, "create", 201)]


def test_a_deleted_citadel_pod_comes_back_as_a_new_process_with_the_same_root(mesh: CitadelMesh) -> None:
    (old,) = mesh.pods("security", namespace="istio-system")
    root = mesh.root()
    logs = set(mesh.bed.logs.glob("citadel-*.log"))

    mesh.bed.kubectl("delete", "pod", "--namespace", "istio-system", old["metadata"]["name"])
    processes.wait_until("Citadel is ready again", mesh.citadel_ready, seconds=60)

    (new,) = mesh.pods("security", namespace="istio-system")
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert len(set(mesh.bed.logs.glob("citadel-*.log")) - logs) == 1
    assert mesh.root() == root


def test_a_restarted_control_plane_part_gets_a_new_proxy_that_answers(mesh: CitadelMesh) -> None:
    (old,) = mesh.pods("pilot", namespace="istio-system")
    where = ("--namespace", "istio-system", "deployment/istio-pilot")

    mesh.bed.kubectl("rollout", "restart", *where)
    mesh.bed.kubectl("rollout", "status", *where, "--timeout=60s")

    processes.wait_until(
        "the old pod is gone", lambda: len(mesh.pods("pilot", namespace="istio-system")) == 1, seconds=30
    )
    (new,) = mesh.pods("pilot", namespace="istio-system")
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert _loaded_serials(mesh) == {_serial(mesh.root())}


@pytest.mark.timeout(300)
def test_a_resigned_root_reaches_every_secret_and_proxy_without_a_failed_request(
    mesh: CitadelMesh,
) -> None:
    old, new = mesh.root(), _resigned(mesh)
    change = {"data": {"ca-cert.pem": base64.b64encode(new).decode()}}

    with mesh.probe() as probe:
        mesh.bed.api().patch(CA_SECRET, change)
        _restart_citadel(mesh)
        rollout = processes.wait_until("Citadel is rolled out", mesh.citadel_ready, seconds=60)
        secrets = processes.wait_until(
            "every secret has the new root",
            lambda: set(mesh.workload_roots().values()) == {new},
            seconds=CONVERGED_SECONDS,
        )
        proxies = processes.wait_until(
            "every proxy has the new root", lambda: _loaded_serials(mesh) == {_serial(new)}, seconds=30
        )
        processes.wait_until(
            "webhooks have the new root", lambda: _webhook_bundles(mesh) == {new}, seconds=30
        )
        time.sleep(2)

    result = probe.result()
    told = f"rollout {rollout:.1f} s, secrets +{secrets:.1f} s, proxies +{proxies:.1f} s, {result}"
    sys.stdout.write(told)
    assert old != new
    assert mesh.root() == new
    assert result.failed == 0, result.failures
    assert result.total > 1000


def _resigned(mesh: CitadelMesh) -> bytes:
    """The root as it is, with a new validity: same key, subject and extensions, as they are in DER."""
    data = mesh.ca_secret()["data"]
    old = x509.load_pem_x509_certificate(base64.b64decode(data["ca-cert.pem"]))
    key = serialization.load_pem_private_key(base64.b64decode(data["ca-key.pem"]), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        issuer_name=old.issuer,
        subject_name=old.subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now,
        not_valid_after=now + timedelta(days=3650),
        extensions=list(old.extensions),
    )
    signed = builder.sign(key, hashes.SHA256())
    assert signed.subject.public_bytes() == old.subject.public_bytes()
    return signed.public_bytes(serialization.Encoding.PEM)


def _restart_citadel(mesh: CitadelMesh) -> None:
    at = {"rootkeeper.test/restarted-at": datetime.now(UTC).isoformat()}
    template = {"metadata": {"annotations": at}}
    mesh.bed.api().patch(CITADEL_DEPLOYMENT, {"spec": {"template": template}})


def _loaded_serials(mesh: CitadelMesh) -> set[str]:
    answers = (certificates_by_exec(mesh, *pod) for pod in mesh.proxies())
    return {answer["certificates"][0]["ca_cert"][0]["serial_number"] for answer in answers}


def _serial(certificate: bytes) -> str:
    """The serial number as Envoy writes it: whole bytes, lower case."""
    number = x509.load_pem_x509_certificate(certificate).serial_number
    return number.to_bytes((number.bit_length() + 7) // 8, "big").hex()


def _webhook_bundles(mesh: CitadelMesh) -> set[bytes]:
    names = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
    configurations = [
        each
        for name in names
        for each in mesh.bed.api().list(f"/apis/admissionregistration.k8s.io/v1/{name}")
    ]
    assert len(configurations) == 2
    return {
        base64.b64decode(webhook["clientConfig"]["caBundle"])
        for configuration in configurations
        for webhook in configuration["webhooks"]
    }


def _handshakes(mesh: CitadelMesh) -> int:
    """How many TLS handshakes the server side has done, none of them resumed."""
    (pod,) = mesh.pods("httpbin", namespace="default")
    request = ("pilot-agent", "request", "GET", "stats?filter=listener.*ssl.(handshake|session_reused)$")
    where = ("exec", "--namespace", "default", pod["metadata"]["name"], "--container", "istio-proxy", "--")
    stats = dict(line.rsplit(": ", 1) for line in mesh.bed.kubectl(*where, *request).splitlines() if line)
    assert sum(int(count) for name, count in stats.items() if "session_reused" in name) == 0
    return sum(int(count) for name, count in stats.items() if "handshake" in name)


def _identity(certificates: dict[str, Any]) -> str:
    (chain,) = certificates["certificates"][0]["cert_chain"]
    (identity,) = (name["uri"] for name in chain["subject_alt_names"] if "uri" in name)
    return str(identity)
