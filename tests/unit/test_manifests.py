"""The manifests as shipped: the bot may do what it needs and nothing else, in a pod that can do little."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.edges.kube.permissions import Permission, needed_permissions, unwanted_permissions
from bot.edges.scheduler.scheduler import FAREWELL_HAS
from bot.edges.slack.app import SlackEdge
from bot.edges.slack.poster import Poster
from bot.edges.store.engine import BUSY_TIMEOUT
from bot.process import STOPPING
from bot.settings import Settings, load_settings, variable
from tests.layers import missing_tool
from tests.testbed import build

MANIFESTS = Path(__file__).parents[2] / "manifests"
SINGLE = MANIFESTS / "overlays" / "single"
MESH_NAMESPACE = "istio-system"

Grant = tuple[str, str, str, str, str]
"""(verb, API group, resource, namespace, name); empty for everywhere and for all names."""


def documents() -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(MANIFESTS.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            yield path, document


def objects(kind: str) -> list[dict[str, Any]]:
    return [document for path, document in documents() if document.get("kind") == kind]


def the(kind: str, name: str) -> dict[str, Any]:
    (found,) = [item for item in objects(kind) if item["metadata"]["name"] == name]
    return found


def rules() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every rule with the namespace in which it counts."""
    for role in objects("ClusterRole") + objects("Role"):
        for rule in role["rules"]:
            yield role["metadata"].get("namespace", ""), rule


def grants() -> set[Grant]:
    return {
        (verb, group, resource, namespace, name)
        for namespace, rule in rules()
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
    }


def wanted(permission: Permission) -> Grant:
    target = permission.target
    return (permission.verb, target.group, target.whole, target.namespace, target.name)


def covers(grant: Grant, asked: Grant) -> bool:
    """Whether RBAC would allow what is asked because of that grant."""
    same = grant[:3] == asked[:3]
    return same and grant[3] in {"", asked[3]} and grant[4] in {"", asked[4]}


def test_every_file_is_yaml_with_kind_and_name() -> None:
    for path, document in documents():
        if path.name == "slack-app.yaml":
            continue
        assert document["apiVersion"], path
        assert document["kind"] == "Kustomization" or document["metadata"]["name"], path


def test_every_permission_the_bot_needs_is_granted() -> None:
    needed = {wanted(permission) for permission in needed_permissions(MESH_NAMESPACE)}

    assert needed - grants() == set()


def test_nothing_is_granted_beyond_what_the_bot_needs() -> None:
    needed = {wanted(permission) for permission in needed_permissions(MESH_NAMESPACE)}

    assert grants() - needed == set()


def test_what_could_lose_the_key_is_granted_by_no_rule() -> None:
    allowed = [
        str(permission)
        for permission in unwanted_permissions(MESH_NAMESPACE)
        if any(covers(grant, wanted(permission)) for grant in grants())
    ]

    assert allowed == []


def test_no_rule_has_a_wildcard() -> None:
    assert [rule for _, rule in rules() if "*" in str(rule)] == []


def test_secrets_are_never_made_deleted_or_replaced_and_written_by_name_only() -> None:
    of_secrets = {grant for grant in grants() if grant[2].startswith("secrets")}

    assert {verb for verb, *_ in of_secrets} == {"get", "list", "patch"}
    written = {(namespace, name) for verb, _, _, namespace, name in of_secrets if verb == "patch"}
    assert written == {(MESH_NAMESPACE, "istio-ca-secret"), (MESH_NAMESPACE, "rootkeeper-backup")}
    assert all(name for verb, *_, name in of_secrets if verb == "get")


def test_nothing_is_written_outside_the_mesh_s_namespace() -> None:
    writing = {grant for grant in grants() if grant[0] not in {"get", "list"}}
    streams = {"pods/exec", "pods/portforward"}

    assert {grant[3] for grant in writing if grant[2] not in streams} == {MESH_NAMESPACE}
    assert {grant[0] for grant in writing if grant[2] in streams} == {"create"}


def test_no_rule_lets_the_bot_give_itself_more() -> None:
    verbs = {grant[0] for grant in grants()}
    resources = {grant[2] for grant in grants()}

    assert verbs & {"bind", "escalate", "impersonate"} == set()
    assert resources & {"roles", "clusterroles", "serviceaccounts/token"} == set()


@pytest.mark.parametrize("kind", ["ClusterRoleBinding", "RoleBinding"])
def test_roles_are_bound_to_the_bot_s_own_account_and_nobody_else(kind: str) -> None:
    (binding,) = objects(kind)

    (subject,) = binding["subjects"]
    account = the("ServiceAccount", "rootkeeper")["metadata"]
    assert (subject["kind"], subject["name"], subject["namespace"]) == (
        "ServiceAccount",
        account["name"],
        account["namespace"],
    )
    role = the(binding["roleRef"]["kind"], binding["roleRef"]["name"])
    assert role["metadata"].get("namespace") == binding["metadata"].get("namespace")


def test_applying_again_cannot_wipe_the_backup_or_the_lease() -> None:
    backup, lease = the("Secret", "rootkeeper-backup"), the("Lease", "rootkeeper")

    assert set(backup) == {"apiVersion", "kind", "metadata", "type"}, "what is declared is what apply resets"
    assert set(lease) == {"apiVersion", "kind", "metadata"}
    assert {backup["metadata"]["namespace"], lease["metadata"]["namespace"]} == {MESH_NAMESPACE}
    assert "immutable" not in backup


def test_no_manifest_holds_a_secret_s_data() -> None:
    assert [
        item["metadata"]["name"] for item in objects("Secret") if "data" in item or "stringData" in item
    ] == []
    text = "".join(path.read_text() for path in MANIFESTS.rglob("*") if path.is_file())
    assert not re.search(r"xox[a-z]-\d|xapp-\d|PRIVATE KEY", text)


def pod() -> dict[str, Any]:
    spec = the("Deployment", "rootkeeper")["spec"]["template"]["spec"]
    assert isinstance(spec, dict)
    return spec


def test_the_pod_is_restricted_in_every_way_that_the_pod_security_standard_names() -> None:
    (container,) = pod()["containers"]
    for_pod, for_container = pod()["securityContext"], container["securityContext"]

    assert for_pod["runAsNonRoot"] is True
    assert for_pod["runAsUser"] >= 10000
    assert for_pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert for_container["allowPrivilegeEscalation"] is False
    assert for_container["readOnlyRootFilesystem"] is True
    assert for_container["capabilities"] == {"drop": ["ALL"]}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod())
    assert {next(iter(set(volume) - {"name"})) for volume in pod()["volumes"]} <= {
        "configMap",
        "emptyDir",
        "persistentVolumeClaim",
        "secret",
    }
    namespace = the("Namespace", pod_namespace())["metadata"]["labels"]
    assert namespace["pod-security.kubernetes.io/enforce"] == "restricted"


def pod_namespace() -> str:
    return str(the("Deployment", "rootkeeper")["metadata"]["namespace"])


def test_there_is_one_bot_and_the_old_one_ends_first() -> None:
    spec = the("Deployment", "rootkeeper")["spec"]

    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_the_slowest_stop_is_over_before_the_pod_is_killed() -> None:
    closing_ears = signature(SlackEdge.close).parameters["within"].default
    last_call = signature(Poster.stop).parameters["within"].default
    giving_back = timedelta(milliseconds=BUSY_TIMEOUT)
    slowest = closing_ears + STOPPING + FAREWELL_HAS + last_call + giving_back

    grace = timedelta(seconds=pod()["terminationGracePeriodSeconds"])

    assert grace - slowest >= timedelta(seconds=10), "to spare for a busy machine"


def test_the_pod_has_bounds_and_is_probed() -> None:
    (container,) = pod()["containers"]

    assert container["resources"]["limits"]["memory"] == "256Mi"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/var/lib/rootkeeper", "/tmp"}


def test_variables_of_other_services_do_not_reach_the_pod() -> None:
    assert pod()["enableServiceLinks"] is False


def test_the_settings_as_shipped_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)
    (container,) = pod()["containers"]
    for entry in container["env"]:
        monkeypatch.setenv(entry["name"], entry["value"])
    monkeypatch.setenv("ROOTKEEPER_SLACK_BOT_TOKEN", "xoxb-1")
    monkeypatch.setenv("ROOTKEEPER_SLACK_APP_TOKEN", "xapp-1")

    settings = load_settings(SINGLE / "settings.env", for_slack=True)

    assert settings.meshes[0].namespace == MESH_NAMESPACE
    assert settings.health_address.host == "0.0.0.0"  # the pod's own network
    assert settings.database_url.get_secret_value().startswith("sqlite:////var/lib/rootkeeper/")


def test_the_network_lets_out_what_is_needed_and_in_only_for_numbers() -> None:
    policy = the("NetworkPolicy", "rootkeeper")["spec"]

    inward = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
    outward = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert inward == {8080}
    assert outward == {53, 443, 6443}


def kubectl() -> str:
    """A kubectl that knows kustomize: the test bed's, else the machine's."""
    built = build.binaries() / "kubectl" if build.available() is None else None
    found = str(built) if built and built.exists() else shutil.which("kubectl")
    if found is None:
        missing_tool("there is no kubectl to render the manifests with")
    version = subprocess.run([found, "version", "--client"], capture_output=True, text=True, check=False)
    kustomize = re.search(r"Kustomize Version: v(\d+)", version.stdout)
    if kustomize is None or int(kustomize[1]) < 4:
        missing_tool("kubectl is too old to render the manifests: its kustomize is before v4")
    return found


def test_the_overlay_renders_and_the_pod_gets_its_settings() -> None:
    rendered = subprocess.run(
        [kubectl(), "kustomize", str(SINGLE)], capture_output=True, text=True, check=True, timeout=60
    )

    found = list(yaml.safe_load_all(rendered.stdout))
    (settings,) = [item for item in found if item["kind"] == "ConfigMap"]
    (deployment,) = [item for item in found if item["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"][0]["configMapRef"]["name"] == settings["metadata"]["name"]
    assert settings["data"]["ROOTKEEPER_CHECK_SCHEDULE"] == "0 9 * * *"
    assert container["image"].startswith("rootkeeper:")
    assert len(found) == 12
