"""The stand-in can go wrong on order: faults, bans, clock, pods that fail; and it keeps an audit log."""

import http.client
import json
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.cluster import (
    Ban,
    Effect,
    Fault,
    Oddity,
    RunningCluster,
    Scene,
    Stray,
    Trouble,
    running_cluster,
)
from bot.sandbox.cluster.objects import Json, labels_of, name_of, path
from bot.sandbox.cluster.resources import DEPLOYMENTS, PODS, SECRETS

CA_SECRET = "/api/v1/namespaces/istio-system/secrets/istio-ca-secret"
CITADEL = "/apis/apps/v1/namespaces/istio-system/deployments/istio-citadel"
MERGE = {"Content-Type": "application/merge-patch+json"}


@dataclass(frozen=True)
class Answer:
    code: int
    headers: Any
    body: Any


@dataclass(frozen=True)
class Wire:
    """HTTP without retries of any library."""

    cluster: RunningCluster
    token: str

    def ask(self, method: str, target: str, body: object = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.cluster.url).netloc, timeout=3)
        headers = {"Authorization": f"Bearer {self.token}", **headers}
        try:
            connection.request(method, target, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, json.loads(answer.read() or b"null"))
        finally:
            connection.close()

    def patch(self, note: str, **query: str) -> Answer:
        target = f"{CA_SECRET}?{urllib.parse.urlencode(query)}"
        body = {"metadata": {"annotations": {"note": note}}}
        return self.ask("PATCH", target, body, **MERGE)

    def note(self) -> str:
        return str((self.ask("GET", CA_SECRET).body["metadata"].get("annotations") or {}).get("note", ""))


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    strays = tuple(Stray)
    scene = Scene(accounts=(("shop", ("cart",)),), strays=strays)
    with running_cluster(scene, speed=100) as cluster:
        text = json.loads(cluster.write_kubeconfig(tmp_path / "kubeconfig").read_text())
        yield Wire(cluster, text["users"][0]["user"]["token"])


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.02)


@pytest.mark.parametrize("code", [401, 403, 409, 410, 429, 500, 503])
def test_a_request_is_answered_as_ordered_and_the_next_one_truly(wire: Wire, code: int) -> None:
    wire.cluster.inject(Fault(effect=Effect.STATUS, verb="patch", resource="secrets", code=code))

    first, second = wire.patch("one"), wire.patch("two")

    assert (first.code, first.body["kind"], second.code, wire.note()) == (code, "Status", 200, "two")


def test_too_many_requests_come_with_a_time_to_wait(wire: Wire) -> None:
    wire.cluster.inject(Fault(effect=Effect.STATUS, code=429, retry_after=7, times=2))

    answers = [wire.ask("GET", CA_SECRET) for _ in range(3)]

    assert [each.code for each in answers] == [429, 429, 200]
    assert answers[0].headers["Retry-After"] == "7"
    assert answers[0].body["details"] == {"retryAfterSeconds": 7}


@pytest.mark.parametrize(("effect", "note"), [(Effect.DROP_BEFORE, ""), (Effect.DROP_AFTER, "written")])
def test_a_cut_connection_leaves_the_outcome_to_be_looked_up(wire: Wire, effect: Effect, note: str) -> None:
    wire.cluster.inject(Fault(effect=effect, verb="patch"))

    with pytest.raises((ConnectionError, http.client.HTTPException)):
        wire.patch("written")

    assert wire.note() == note


def test_a_hanging_request_is_never_answered(wire: Wire) -> None:
    wire.cluster.inject(Fault(effect=Effect.HANG, name="istio-ca-secret"))

    with pytest.raises(TimeoutError):
        wire.patch("never")

    assert wire.note() == ""


def test_a_slow_request_is_answered_late(wire: Wire) -> None:
    wire.cluster.inject(Fault(effect=Effect.SLOW, seconds=0.3))
    start = time.monotonic()

    answer = wire.patch("late")

    assert (answer.code, time.monotonic() - start >= 0.3) == (200, True)


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_admission_webhook_denies_dry_runs_too(wire: Wire, *, dry_run: bool) -> None:
    wire.cluster.inject(Fault(effect=Effect.DENY, message="frozen until Monday"))

    answer = wire.patch("denied", **({"dryRun": "All"} if dry_run else {}))

    text = 'admission webhook "policy.sandbox.example" denied the request: frozen until Monday'
    assert (answer.code, answer.body["message"]) == (403, text)


def test_a_secret_can_vanish_between_get_and_patch(wire: Wire) -> None:
    wire.cluster.inject(Fault(effect=Effect.VANISH, verb="patch"))

    assert wire.ask("GET", CA_SECRET).code == 200
    assert wire.patch("gone").code == 404


def test_somebody_else_can_be_quicker(wire: Wire) -> None:
    version = wire.ask("GET", CA_SECRET).body["metadata"]["resourceVersion"]
    wire.cluster.inject(Fault(effect=Effect.TOUCH, verb="patch"))

    answer = wire.ask("PATCH", CA_SECRET, {"metadata": {"resourceVersion": version}}, **MERGE)

    assert (answer.code, answer.body["reason"]) == (409, "Conflict")


def test_a_fault_can_let_requests_pass_first(wire: Wire) -> None:
    wire.cluster.inject(Fault(effect=Effect.STATUS, verb="get", after=2))

    codes = [wire.ask("GET", CA_SECRET).code for _ in range(4)]

    assert codes == [200, 200, 500, 200]


def test_a_compacted_list_is_expired_but_can_go_on_inconsistently(wire: Wire) -> None:
    first = wire.ask("GET", "/api/v1/secrets?limit=5").body
    token = first["metadata"]["continue"]
    wire.cluster.do(lambda it: it.store.compact())

    expired = wire.ask("GET", f"/api/v1/secrets?limit=5&continue={token}")
    onward = expired.body["metadata"]["continue"]
    rest = wire.ask("GET", f"/api/v1/secrets?continue={onward}")

    assert (expired.code, expired.body["reason"]) == (410, "Expired")
    seen = [each["metadata"]["name"] for each in first["items"] + rest.body["items"]]
    every = [each["metadata"]["name"] for each in wire.ask("GET", "/api/v1/secrets").body["items"]]
    assert seen == every


def test_a_right_can_be_taken_away_in_one_namespace_or_for_the_whole_cluster(wire: Wire) -> None:
    wire.cluster.forbid(Ban(verb="list", resource="secrets", cluster=True))
    wire.cluster.forbid(Ban(verb="list", resource="secrets", namespace="shop"))

    codes = [wire.ask("GET", f"/api/v1/{path}secrets").code for path in ("", "namespaces/shop/")]

    assert codes == [403, 403]
    assert wire.ask("GET", "/api/v1/namespaces/rootkeeper/secrets").code == 200


def test_the_bot_may_neither_create_nor_delete_a_secret(wire: Wire) -> None:
    body = {"metadata": {"name": "x"}}

    codes = [
        wire.ask("POST", "/api/v1/namespaces/istio-system/secrets", body).code,
        wire.ask("DELETE", CA_SECRET).code,
    ]

    assert codes == [403, 403]


def test_the_servers_clock_can_be_wrong(wire: Wire) -> None:
    before = parsedate_to_datetime(wire.ask("GET", "/version").headers["Date"])

    done = wire.ask("POST", "/sandbox/clock", {"skew_seconds": 600})

    after = parsedate_to_datetime(wire.ask("GET", "/version").headers["Date"])
    assert done.code == 200
    assert 599 <= (after - before).total_seconds() <= 610


def test_the_audit_log_tells_who_did_what(wire: Wire) -> None:
    wire.patch("dry", dryRun="All")
    wire.ask("DELETE", CA_SECRET)

    entries = wire.ask("GET", "/sandbox/audit").body

    mine = [each for each in entries if each["user"] == "system:serviceaccount:rootkeeper:rootkeeper"]
    assert [(each["verb"], each["code"], each["dry_run"]) for each in mine] == [
        ("patch", 200, True),
        ("delete", 403, False),
    ]


def test_citadels_own_writes_can_be_refused_and_come_by_again(wire: Wire) -> None:
    user = "istio-citadel-service-account"
    fault = {"effect": "status", "verb": "create", "resource": "secrets", "user": user, "code": 409}
    assert wire.ask("POST", "/sandbox/fault", fault).code == 200
    key = "shop/istio.cart"

    wire.cluster.do(lambda it: it.store.remove(SECRETS, key))
    eventually(lambda: not wire.cluster.do(lambda it: it.faults.waiting))

    assert wire.cluster.do(lambda it: it.store.get(SECRETS, key)) is None
    refusals = [each for each in wire.cluster.audit() if user in each.user and each.code == 409]
    assert [(each.verb, each.name) for each in refusals] == [("create", "istio.cart")]


def test_an_unknown_fault_is_refused_with_what_is_known(wire: Wire) -> None:
    answers = [
        wire.ask("POST", "/sandbox/fault", {"effect": "explode"}),
        wire.ask("POST", "/sandbox/fault", {"effekt": "status"}),
        wire.ask("POST", "/sandbox/nothing", {}),
    ]

    assert [each.code for each in answers] == [400, 400, 404]
    assert "drop-before" in answers[0].body["error"]
    assert "effekt" in answers[1].body["error"]


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (Trouble.CRASH_LOOP, "CrashLoopBackOff"),
        (Trouble.IMAGE_PULL, "ImagePullBackOff"),
        (Trouble.NEVER_READY, None),
        (Trouble.PENDING, None),
    ],
)
def test_a_rollout_can_get_stuck_and_then_the_old_pod_stays(
    wire: Wire, trouble: Trouble, reason: str | None
) -> None:
    before = {name_of(each) for each in citadels(wire)}
    assert wire.ask("POST", "/sandbox/rollout", {"app": "citadel", "trouble": str(trouble)}).code == 200
    annotations = {"kubectl.kubernetes.io/restartedAt": "now"}
    patch = {"spec": {"template": {"metadata": {"annotations": annotations}}}}

    assert wire.ask("PATCH", CITADEL, patch, **MERGE).code == 200

    def stuck() -> bool:
        new = [each for each in citadels(wire) if name_of(each) not in before]
        states = (path(new[0], "status", "containerStatuses") if new else None) or [{}]
        return (len(new), path(states[0], "state", "waiting", "reason")) == (1, reason) and counted() == (
            2,
            1,
            1,
        )

    def counted() -> tuple[int, int, int]:
        [found] = wire.cluster.do(
            lambda it: [
                each
                for each in it.store.values(DEPLOYMENTS, "istio-system")
                if name_of(each) == "istio-citadel"
            ]
        )
        status = found["status"]
        return status["replicas"], status.get("updatedReplicas", 0), status["readyReplicas"]

    eventually(stuck)


def citadels(wire: Wire) -> list[Json]:
    every = wire.cluster.do(lambda it: it.store.values(PODS, "istio-system"))
    return [each for each in every if labels_of(each).get("istio") == "citadel"]


def test_stray_pods_stand_as_the_scene_made_them(wire: Wire) -> None:
    pods = wire.ask("GET", "/api/v1/namespaces/shop/pods").body["items"]

    phases = {name_of(each): each["status"]["phase"] for each in pods if name_of(each).startswith("stray")}
    assert phases == {
        "stray-completed": "Succeeded",
        "stray-crashing": "Running",
        "stray-host-network": "Running",
        "stray-pending": "Pending",
        "stray-plain": "Running",
        "stray-redis": "Running",
    }


def test_a_proxys_oddity_can_be_changed_while_it_runs(wire: Wire) -> None:
    body = {"workload": "shop/cart", "oddity": "html"}

    assert wire.ask("POST", "/sandbox/proxy", body).code == 200

    odd = wire.cluster.do(lambda it: it.world.habits.oddities)
    assert odd == {"shop/cart": Oddity.HTML}


def test_a_plugged_in_ca_is_mounted_and_there_is_no_secret_of_its_own() -> None:
    with running_cluster(Scene(accounts=(("shop", ("cart",)),), plugged_in=True), speed=100) as cluster:
        found = cluster.do(lambda it: it.store.values(PODS, "istio-system"))
        citadel = next(each for each in found if labels_of(each).get("istio") == "citadel")
        secrets = cluster.do(lambda it: {key.key for key in it.store.scan(SECRETS, "istio-system")})

    arguments = citadel["spec"]["containers"][0]["args"]
    assert "--self-signed-ca=false" in arguments
    assert "--signing-cert=/etc/cacerts/ca-cert.pem" in arguments
    assert {"istio-system/cacerts"} == secrets & {"istio-system/cacerts", "istio-system/istio-ca-secret"}


def test_a_body_that_is_no_json_is_a_bad_request(wire: Wire) -> None:
    answer = wire.ask("PATCH", CA_SECRET, None, **MERGE)

    assert answer.code == 400
