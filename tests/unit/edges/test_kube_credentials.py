"""Credentials that change under the bot."""

import sys
from pathlib import Path

import pytest

from bot.edges.kube import connection, credentials
from bot.edges.kube.client import KubeClient
from bot.edges.kube.credentials import TokenFile, token_file
from bot.edges.kube.targets import SECRETS
from bot.edges.kube.wire import NAMED
from bot.errors import ClusterForbidden, ClusterUnreachable
from tests.unit.edges.kube_stub import Reply, refused, stubbed, write_kubeconfig

SECRET = SECRETS.within("istio-system").named("istio-ca-secret")
THERE = Reply(body=b'{"metadata":{"name":"there","uid":"u"}}')
FOR_EVER = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable}


def of_file(directory: Path, text: str = "first\n") -> tuple[Path, dict[str, object]]:
    """A token in a file, and the kubeconfig's user who has it."""
    path = directory / "token"
    path.write_text(text)
    return path, {"tokenFile": "token", "token": "an old one"}


def test_a_renewed_token_file_is_read_again_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, user = of_file(tmp_path)

    with stubbed(tmp_path, THERE, user=user) as (client, stub):
        client.get(SECRET, NAMED)
        path.write_text("second")
        client.get(SECRET, NAMED)
        monkeypatch.setattr(credentials, "TOKEN_SECONDS", 0.0)
        client.get(SECRET, NAMED)

    assert stub.tokens == ["Bearer first", "Bearer first", "Bearer second"]


def test_a_token_that_is_refused_is_read_again_at_once(tmp_path: Path) -> None:
    path, user = of_file(tmp_path)

    with stubbed(tmp_path, THERE, refused(401), THERE, user=user) as (client, stub):
        client.get(SECRET, NAMED)
        path.write_text("second")
        client.get(SECRET, NAMED)

    assert stub.tokens == ["Bearer first", "Bearer first", "Bearer second"]


def test_a_token_that_is_refused_and_not_renewed_is_not_tried_again(tmp_path: Path) -> None:
    _, user = of_file(tmp_path)

    with stubbed(tmp_path, refused(401), user=user) as (client, stub), pytest.raises(ClusterForbidden):
        client.get(SECRET, NAMED)

    assert len(stub.asked) == 1


@pytest.mark.parametrize("broken", ["empty", "gone"])
def test_while_a_token_file_cannot_be_read_the_last_token_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setattr(credentials, "TOKEN_SECONDS", 0.0)
    path, user = of_file(tmp_path)

    with stubbed(tmp_path, THERE, user=user) as (client, stub):
        client.get(SECRET, NAMED)
        path.write_text("") if broken == "empty" else path.unlink()
        client.get(SECRET, NAMED)

    assert stub.tokens == ["Bearer first", "Bearer first"]


def test_without_a_token_at_all_nothing_is_asked(tmp_path: Path) -> None:
    _, user = of_file(tmp_path, text="")

    with (
        stubbed(tmp_path, THERE, user=user) as (client, stub),
        pytest.raises(ClusterUnreachable, match="is empty"),
    ):
        client.get(SECRET, NAMED)

    assert stub.asked == []


def test_a_token_file_lies_beside_the_kubeconfig_that_names_it(tmp_path: Path) -> None:
    config = write_kubeconfig(tmp_path, 1, user={"tokenFile": "there/token"})

    assert token_file(str(config), None) == tmp_path / "there/token"
    assert token_file(str(config), "c") == tmp_path / "there/token"
    assert token_file(str(write_kubeconfig(tmp_path, 1)), None) is None


def test_a_pods_own_token_is_read_again_in_time_and_is_never_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("token", "ca.crt"):
        (tmp_path / name).write_text("first")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    in_pod: list[TokenFile | None] = []
    monkeypatch.setattr(connection, "_connected", lambda _, token: in_pod.append(token))
    library = "kubernetes.config.incluster_config."
    monkeypatch.setattr(library + "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(library + "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setattr(credentials, "TOKEN_SECONDS", 0.0)

    connection.in_cluster()
    token = in_pod[0]
    assert token is not None
    seen = [token.authorization()]
    for text in ("second", ""):
        (tmp_path / "token").write_text(text)
        seen.append(token.authorization())

    assert seen == ["Bearer first", "Bearer second", "Bearer second"]


def test_an_exec_plugin_that_waits_for_ever_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "PLUGIN_SECONDS", 0.2)
    waiting: dict[str, object] = {
        "exec": {**FOR_EVER, "args": ["-c", "import threading; threading.Event().wait()"]}
    }

    with pytest.raises(ClusterUnreachable, match="did not end within") as fault:
        KubeClient.from_kubeconfig(write_kubeconfig(tmp_path, 1, user=waiting))

    assert "login" in fault.value.hint


def test_an_exec_plugin_that_hangs_at_its_tokens_end_fails_the_request_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        "import json\n"
        "status = {'token': 'short', 'expirationTimestamp': '2020-01-01T00:00:00Z'}\n"
        f"print(json.dumps({{'apiVersion': '{FOR_EVER['apiVersion']}', 'kind': 'ExecCredential', 'status': status}}))\n"
    )

    with stubbed(tmp_path, THERE, user={"exec": {**FOR_EVER, "args": [str(plugin)]}}) as (client, stub):
        client.get(SECRET, NAMED)
        plugin.write_text("import threading\nthreading.Event().wait()\n")
        monkeypatch.setattr(credentials, "PLUGIN_SECONDS", 0.2)
        with pytest.raises(ClusterUnreachable, match="did not end within"):
            client.get(SECRET, NAMED)

    assert stub.tokens == ["Bearer short"]
