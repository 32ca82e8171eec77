"""Health: yes or no with reasons, whatever else hangs."""

import http.client
import json
import socket
from collections.abc import Iterator

import pytest

from bot.edges.health import Health, HealthServer, answer


def fine() -> str:
    return ""


def broken() -> str:
    raise ZeroDivisionError("password=hidden")


HEALTH = Health(
    live={"scheduler": fine, "socket": lambda: "no pong for 4 minutes"},
    ready={"slack": fine, "database": fine},
    metrics=lambda: b"rootkeeper_check_ok 1\n",
    metrics_type="text/plain; version=0.0.4",
)


@pytest.fixture
def server() -> Iterator[HealthServer]:
    server = HealthServer(HEALTH, host="127.0.0.1", port=0)
    server.start()
    yield server
    server.stop()


def test_all_is_well_when_no_probe_has_a_fault() -> None:
    given = answer(HEALTH, "/readyz")

    assert given.status == 200
    assert json.loads(given.body) == {"faults": {}}


def test_faults_are_told_by_name_and_only_where_there_are_some() -> None:
    given = answer(HEALTH, "/healthz?verbose")

    assert given.status == 503
    assert json.loads(given.body) == {"faults": {"socket": "no pong for 4 minutes"}}


def test_a_probe_that_fails_itself_is_a_fault_without_its_text() -> None:
    given = answer(Health(ready={"database": broken}), "/readyz")

    assert given.status == 503
    assert b"ZeroDivisionError" in given.body
    assert b"hidden" not in given.body


def test_metrics_are_passed_on_with_their_type() -> None:
    given = answer(HEALTH, "/metrics")

    assert (given.status, given.type) == (200, "text/plain; version=0.0.4")
    assert given.body == b"rootkeeper_check_ok 1\n"


@pytest.mark.parametrize("path", ["/", "/healthz/..", "/admin", ""])
def test_there_is_nothing_else(path: str) -> None:
    assert answer(HEALTH, path).status == 404


def test_it_answers_over_http_and_names_no_versions(server: HealthServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)

    connection.request("GET", "/healthz")
    response = connection.getresponse()

    assert response.status == 503
    assert json.loads(response.read())["faults"] == {"socket": "no pong for 4 minutes"}
    assert response.headers["Server"] == "rootkeeper"
    connection.close()


def test_only_reading_is_possible(server: HealthServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)

    connection.request("POST", "/healthz", body=b"x")

    assert connection.getresponse().status == 501
    connection.close()


def test_a_caller_that_says_nothing_holds_up_nobody(server: HealthServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)

        connection.request("GET", "/readyz")

        assert connection.getresponse().status == 200
        connection.close()


def test_it_listens_on_version_six_as_well() -> None:
    try:
        server = HealthServer(HEALTH, host="::1", port=0)
    except OSError:
        # a machine without it has nothing to listen on
        return
    server.start()
    connection = http.client.HTTPConnection("::1", server.port, timeout=10)

    connection.request("GET", "/readyz")

    assert connection.getresponse().status == 200
    connection.close()
    server.stop()


def test_a_server_that_never_started_can_be_stopped() -> None:
    HealthServer(HEALTH, host="127.0.0.1", port=0).stop()
