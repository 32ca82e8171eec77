"""What the client makes of answers, silences and pages."""

import json
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from bot.edges.kube import connection, translate
from bot.edges.kube.client import ATTEMPTS, KubeClient
from bot.edges.kube.deadline import Deadline
from bot.edges.kube.targets import CONFIG_MAPS, SECRETS, Target
from bot.edges.kube.translate import Again, Doing
from bot.edges.kube.wire import NAMED, NAMED_PAGE, WORKLOAD_SECRET_PAGE, Named
from bot.errors import (
    ClusterConflict,
    ClusterError,
    ClusterForbidden,
    ClusterRefused,
    ClusterUnreachable,
    ObjectAbsent,
    OutcomeUnknown,
)
from tests.unit.edges.kube_stub import NOT_FOUND, Reply, absent, refused, resources, stubbed, write_kubeconfig

SECRET = SECRETS.within("istio-system").named("istio-ca-secret")
RBAC = 'secrets "x" is forbidden: User "system:serviceaccount:a:b" cannot get resource "secrets"'
THERE = b'{"metadata":{"name":"there","uid":"u"}}'
DENIED = 'admission webhook "policy.example" denied the request: frozen until Monday'


def test_a_target_knows_its_path_and_its_name() -> None:
    mesh_policy = Target(group="authentication.istio.io", version="v1alpha1", resource="meshpolicies")

    assert SECRET.path == "/api/v1/namespaces/istio-system/secrets/istio-ca-secret"
    assert mesh_policy.named("default").path == "/apis/authentication.istio.io/v1alpha1/meshpolicies/default"
    assert SECRETS.within("a/../b").path == "/api/v1/namespaces/a%2F..%2Fb/secrets"
    assert str(SECRET) == "secrets istio-ca-secret in namespace istio-system"


READS = {
    "401": (401, "Unauthorized", ClusterForbidden),
    "403 by RBAC": (403, RBAC, ClusterForbidden),
    "403 without a word": (403, "", ClusterForbidden),
    "410": (410, "gone", ClusterRefused),
    "400": (400, "bad selector", ClusterRefused),
    "500": (500, "etcd: leader changed", ClusterUnreachable),
    "504": (504, "gateway timeout", ClusterUnreachable),
    "302 to a login page": (302, "moved", ClusterUnreachable),
}


@pytest.mark.parametrize(("code", "message", "error"), READS.values(), ids=READS)
def test_a_refused_read_is_translated(
    tmp_path: Path, code: int, message: str, error: type[ClusterError]
) -> None:
    with stubbed(tmp_path, refused(code, message)) as (client, stub), pytest.raises(error) as raised:
        client.get(SECRET, NAMED)

    assert type(raised.value) is error
    assert "istio-ca-secret" in raised.value.message
    assert len(stub.asked) == 1


WRITES = {
    "401": (401, "Unauthorized", ClusterForbidden),
    "403 by RBAC": (403, RBAC.replace("get", "patch"), ClusterForbidden),
    "403 by an admission webhook": (403, DENIED, ClusterRefused),
    "400 by an admission webhook": (400, DENIED, ClusterRefused),
    "410": (410, "gone", ClusterRefused),
    "409": (409, "the object has been modified", ClusterConflict),
    "413": (413, "too large", ClusterRefused),
    "422": (422, "field is immutable", ClusterRefused),
    "500, of which nothing is known": (500, "timeout", OutcomeUnknown),
    "504, of which nothing is known": (504, "timeout", OutcomeUnknown),
}


@pytest.mark.parametrize(("code", "message", "error"), WRITES.values(), ids=WRITES)
def test_a_refused_write_is_translated(
    tmp_path: Path, code: int, message: str, error: type[ClusterError]
) -> None:
    with stubbed(tmp_path, refused(code, message)) as (client, stub), pytest.raises(error) as raised:
        client.patch(SECRET, {}, NAMED)

    assert type(raised.value) is error
    assert len(stub.asked) == 1


@pytest.mark.parametrize("write", [True, False])
def test_only_kubernetes_word_about_this_object_makes_it_absent(tmp_path: Path, *, write: bool) -> None:
    with stubbed(tmp_path, absent("istio-ca-secret")) as (client, stub), pytest.raises(ObjectAbsent):
        client.patch(SECRET, {}, NAMED) if write else client.get(SECRET, NAMED)

    assert len(stub.asked) == 1


@pytest.mark.parametrize(
    "reply",
    [NOT_FOUND, refused(404, "no"), absent("another"), Reply(code=404, body=b"<html>default backend</html>")],
)
@pytest.mark.parametrize("write", [True, False])
def test_any_other_404_says_nothing_about_an_object(tmp_path: Path, reply: Reply, *, write: bool) -> None:
    error = OutcomeUnknown if write else ClusterUnreachable
    with stubbed(tmp_path, reply, resources("secrets")) as (client, _), pytest.raises(error, match="404"):
        client.patch(SECRET, {}, NAMED) if write else client.get(SECRET, NAMED)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"status":"ok"}', b'{"kind":"Status","status":"Failure","code":500}']
)
def test_an_answer_without_what_was_asked_for_is_no_answer(tmp_path: Path, body: bytes) -> None:
    with stubbed(tmp_path, Reply(body=body)) as (client, _):
        with pytest.raises(ClusterUnreachable, match="not Kubernetes'"):
            client.get(SECRET, NAMED)
        with pytest.raises(ClusterUnreachable, match="not Kubernetes'"):
            collected(client)
        with pytest.raises(OutcomeUnknown, match="not Kubernetes'"):
            client.patch(SECRET, {}, NAMED)


def test_a_refusal_repeats_what_the_webhook_said(tmp_path: Path) -> None:
    with (
        stubbed(tmp_path, refused(403, DENIED)) as (client, _),
        pytest.raises(ClusterRefused, match="frozen until Monday"),
    ):
        client.patch(SECRET, {}, NAMED)


@pytest.mark.parametrize("code", [429, 503])
def test_a_busy_server_is_asked_again_when_it_says(tmp_path: Path, code: int) -> None:
    busy = refused(code, "slow down", headers=(("Retry-After", "3"),))
    named = Reply(body=THERE)

    with stubbed(tmp_path, busy, busy, named) as (client, stub):
        found = client.get(SECRET, NAMED)

    assert found.metadata.name == "there"
    assert stub.slept == [3.0, 3.0]


def test_a_server_that_stays_busy_is_given_up_in_the_end(tmp_path: Path) -> None:
    with (
        stubbed(tmp_path, refused(429, "slow down")) as (client, stub),
        pytest.raises(ClusterUnreachable) as raised,
    ):
        client.get(SECRET, NAMED)

    assert len(stub.asked) == ATTEMPTS
    assert raised.value.retry_after == timedelta(seconds=1)


def test_a_server_that_asks_for_long_patience_gets_it_from_the_scheduler(tmp_path: Path) -> None:
    busy = refused(429, "come tomorrow", headers=(("Retry-After", "600"),))

    with stubbed(tmp_path, busy) as (client, stub), pytest.raises(ClusterUnreachable) as raised:
        client.get(SECRET, NAMED)

    assert stub.slept == []
    assert raised.value.retry_after == timedelta(minutes=10)


def test_a_write_that_a_proxy_answers_with_503_is_unknown_in_the_end(tmp_path: Path) -> None:
    with stubbed(tmp_path, refused(503)) as (client, stub), pytest.raises(OutcomeUnknown):
        client.patch(SECRET, {}, NAMED)

    assert len(stub.asked) == ATTEMPTS


def test_a_read_that_breaks_off_is_tried_again(tmp_path: Path) -> None:
    with stubbed(tmp_path, Reply(cut=True), Reply(body=THERE)) as (client, _):
        assert client.get(SECRET, NAMED).metadata.name == "there"


def test_a_write_that_breaks_off_is_sent_once_and_unknown(tmp_path: Path) -> None:
    with stubbed(tmp_path, Reply(cut=True)) as (client, stub), pytest.raises(OutcomeUnknown):
        client.patch(SECRET, {}, NAMED)

    assert len(stub.asked) == 1


def test_silence_after_a_write_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "READ_SECONDS", 0.2)

    with stubbed(tmp_path, Reply(hang=True)) as (client, _), pytest.raises(OutcomeUnknown, match="in time"):
        client.patch(SECRET, {}, NAMED)


def test_silence_after_a_read_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "READ_SECONDS", 0.2)

    with (
        stubbed(tmp_path, Reply(hang=True)) as (client, stub),
        pytest.raises(ClusterUnreachable, match="in time"),
    ):
        client.get(SECRET, NAMED)

    assert len(stub.asked) == 1


@pytest.mark.parametrize("write", [True, False])
def test_an_answer_that_drips_is_given_up_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, write: bool
) -> None:
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.3)
    error = OutcomeUnknown if write else ClusterUnreachable

    with stubbed(tmp_path, Reply(drip=True)) as (client, _), pytest.raises(error, match="in time"):
        client.patch(SECRET, {}, NAMED) if write else client.get(SECRET, NAMED)


def test_by_a_deadline_a_read_is_over_and_none_is_begun_after_it(tmp_path: Path) -> None:
    with stubbed(tmp_path, Reply(drip=True)) as (client, stub):
        deadline = Deadline(0.3)
        for _ in range(3):
            with pytest.raises(ClusterUnreachable):
                client.get(SECRET, NAMED, deadline=deadline)

        assert len(stub.asked) == 1


def test_no_patience_with_a_busy_server_goes_beyond_a_deadline(tmp_path: Path) -> None:
    busy = refused(429, "slow down", headers=(("Retry-After", "9"),))

    with stubbed(tmp_path, busy) as (client, stub), pytest.raises(ClusterUnreachable, match="busy"):
        client.get(SECRET, NAMED, deadline=Deadline(5))

    assert stub.slept == []


@pytest.mark.parametrize("write", [True, False])
def test_a_port_where_nobody_listens_is_unreachable_for_reads_and_writes(
    tmp_path: Path, *, write: bool
) -> None:
    client = KubeClient.from_kubeconfig(write_kubeconfig(tmp_path, 1))

    with pytest.raises(ClusterUnreachable) as raised:
        client.patch(SECRET, {}, NAMED) if write else client.get(SECRET, NAMED)

    assert " object at 0x" not in raised.value.message
    client.close()


def test_a_redirect_is_not_followed_because_the_token_would_go_along(tmp_path: Path) -> None:
    away = refused(302, "moved", headers=(("Location", "http://127.0.0.1:1/elsewhere"),))

    with stubbed(tmp_path, away) as (client, stub):
        with pytest.raises(ClusterUnreachable, match="302"):
            client.get(SECRET, NAMED)
        with pytest.raises(ClusterUnreachable, match="Redirect"):
            client.stream(SECRET, query=[], protocols="v4.channel.k8s.io", seconds=2)

    assert len(stub.asked) == 2


def test_a_page_of_somebody_else_is_unreachable(tmp_path: Path) -> None:
    with (
        stubbed(tmp_path, Reply(body=b"<html>log in first</html>")) as (client, _),
        pytest.raises(ClusterUnreachable, match="not Kubernetes'"),
    ):
        client.get(SECRET, NAMED)


@pytest.mark.parametrize("text", ["", "{", "clusters: [", "- a\n- b\n", "a: b"])
def test_a_broken_kubeconfig_is_unreachable_and_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken"
    path.write_text(text)

    with pytest.raises(ClusterUnreachable, match="broken") as fault:
        KubeClient.from_kubeconfig(path)

    assert "ROOTKEEPER_KUBECONFIG" in fault.value.hint


def test_a_kubeconfig_that_is_not_there_is_told_as_that(tmp_path: Path) -> None:
    with pytest.raises(ClusterUnreachable) as told:
        KubeClient.from_kubeconfig(tmp_path / "typo")

    assert told.value.message == f"there is no kubeconfig at {tmp_path / 'typo'}"


def test_a_kubeconfig_of_one_string_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("nonsense")

    with pytest.raises(ClusterUnreachable) as told:
        KubeClient.from_kubeconfig(tmp_path / "config")

    assert told.value.message == f"{tmp_path / 'config'} cannot be used: it is not written as a kubeconfig is"


def test_a_kubeconfig_without_the_context_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(ClusterUnreachable, match="elsewhere"):
        KubeClient.from_kubeconfig(write_kubeconfig(tmp_path, 1), context="elsewhere")


def test_outside_a_pod_there_is_no_cluster_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    with pytest.raises(ClusterUnreachable, match="not a pod"):
        KubeClient.in_cluster()


# --- texts --------------------------------------------------------------------------------------


def test_a_servers_text_is_cut_and_in_one_line() -> None:
    text = translate.cut("word\n\tword " * 200)

    assert len(text) == translate.LONGEST_TEXT
    assert "\n" not in text


@pytest.mark.parametrize(
    "value",
    ["-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "TUlJRW93SUJBQUtDQVFFQ" * 20],
)
def test_no_value_of_a_secret_travels_in_an_error(value: str) -> None:
    body = json.dumps({"message": f"Secret is invalid: data[ca-key.pem]: {value}"}).encode()

    fault = translate.refusal(Doing(verb="patch", target=SECRET, writes=True), 422, body, retry_after=None)

    assert value[:40] not in str(fault)
    assert "MIIE" not in str(fault)


def test_a_retry_after_that_is_a_date_is_no_number() -> None:
    fault = translate.refusal(
        Doing(verb="get", target=SECRET), 429, b"", retry_after="Wed, 21 Oct 2026 07:28:00 GMT"
    )

    assert isinstance(fault, Again)
    assert fault.pause == translate.DEFAULT_PAUSE


# --- pages --------------------------------------------------------------------------------------


def a_page(*names: str, token: str = "") -> Reply:
    """A page of objects that have a name."""
    items = [{"metadata": {"name": name}} for name in names]
    page = {"kind": "ConfigMapList", "metadata": {"continue": token}, "items": items}
    return Reply(body=json.dumps(page).encode())


def collected(client: KubeClient, into: list[str] | None = None) -> list[str]:
    """The names of all ConfigMaps."""
    names: list[str] = [] if into is None else into
    client.collect(CONFIG_MAPS, NAMED_PAGE, _name, into=names)
    return names


def _name(found: Named) -> str:
    return found.metadata.name


def test_row_37_long_lists_are_asked_for_in_pages_of_500_until_there_is_no_token(tmp_path: Path) -> None:
    with stubbed(tmp_path, a_page("a", "b", token="t1"), a_page("c", token="t2"), a_page()) as (client, stub):
        assert collected(client) == ["a", "b", "c"]

    assert stub.asked == [
        "GET /api/v1/configmaps?limit=500",
        "GET /api/v1/configmaps?limit=500&continue=t1",
        "GET /api/v1/configmaps?limit=500&continue=t2",
    ]


def test_a_list_of_null_is_empty(tmp_path: Path) -> None:
    with stubbed(tmp_path, Reply(body=b'{"kind":"ConfigMapList","items":null}')) as (client, _):
        assert collected(client) == []


def test_a_list_that_expires_is_started_over_once(tmp_path: Path) -> None:
    script = [a_page("a", token="t1"), refused(410, token="t9"), a_page("a", token="t2"), a_page("b")]

    with stubbed(tmp_path, *script) as (client, stub):
        assert collected(client, ["before"]) == ["before", "a", "b"]

    assert stub.asked[2] == "GET /api/v1/configmaps?limit=500"


def test_a_list_that_expires_twice_is_continued_with_the_servers_token(tmp_path: Path) -> None:
    first, second = a_page("a", token="t1"), a_page("a", token="t2")
    script = [first, refused(410), second, refused(410, token="t9"), a_page("c")]

    with stubbed(tmp_path, *script) as (client, stub):
        assert collected(client) == ["a", "c"]

    assert stub.asked[-1] == "GET /api/v1/configmaps?limit=500&continue=t9"


def test_a_list_that_expires_twice_without_a_token_comes_in_one_piece(tmp_path: Path) -> None:
    first, second = a_page("a", token="t1"), a_page("a", token="t2")
    script = [first, refused(410), second, refused(410), a_page("a", "b")]

    with stubbed(tmp_path, *script) as (client, stub):
        assert collected(client) == ["a", "b"]

    assert stub.asked[-1] == "GET /api/v1/configmaps"


def test_a_list_that_expires_for_ever_is_given_up(tmp_path: Path) -> None:
    with stubbed(tmp_path, refused(410)) as (client, _), pytest.raises(ClusterUnreachable, match="expires"):
        collected(client)


def test_what_was_read_before_a_fault_is_kept(tmp_path: Path) -> None:
    names: list[str] = []

    with (
        stubbed(tmp_path, a_page("a", token="t1"), refused(401)) as (client, _),
        pytest.raises(ClusterForbidden),
    ):
        collected(client, names)

    assert names == ["a"]


def test_private_keys_of_a_list_never_become_python_objects() -> None:
    secret = {
        "metadata": {"name": "istio.cart", "managedFields": [{"manager": "istio_ca"}]},
        "data": {"key.pem": "UFJJVkFURQ==", "root-cert.pem": "cm9vdA==", "cert-chain.pem": "Y2hhaW4="},
    }
    body = json.dumps({"kind": "SecretList", "metadata": {}, "items": [secret]}).encode()

    page = WORKLOAD_SECRET_PAGE.decode(body)

    assert page.entries[0].data is not None
    assert page.entries[0].data.root == "cm9vdA=="
    assert b"UFJJVkFURQ" not in msgspec.json.encode(page)
    assert "UFJJVkFURQ" not in repr(page)


def test_a_permission_is_asked_of_the_api_server(tmp_path: Path) -> None:
    with stubbed(tmp_path, Reply(body=b'{"status":{"allowed":true}}')) as (client, stub):
        assert client.may("get", SECRET)

    assert stub.asked == ["POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews"]
