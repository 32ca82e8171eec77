"""The machine's clock, randomness and processes."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import ec

from bot.edges.system import SystemClock, SystemKeys, process_name, surely_gone
from bot.flow.ports import Clock, Keys

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def test_the_clock_tells_aware_utc() -> None:
    with time_machine.travel(NOON, tick=False):
        clock: Clock = SystemClock()

        assert clock.now() == NOON
        assert clock.now().utcoffset() == timedelta(0)


def test_a_rotation_id_is_32_hex_digits_and_never_the_same() -> None:
    keys: Keys = SystemKeys()

    ids = {keys.rotation_id() for _ in range(100)}

    assert len(ids) == 100
    assert all(len(one) == 32 and int(one, 16) >= 0 and one == one.lower() for one in ids)


def test_a_serial_is_a_positive_number_of_127_bits_and_never_the_same() -> None:
    serials = [SystemKeys().serial() for _ in range(100)]

    assert len(set(serials)) == 100
    assert {serial.bit_length() for serial in serials} == {127}


def test_a_throw_away_key_is_a_public_key_on_p256_and_never_the_same() -> None:
    keys = [SystemKeys().throw_away_key() for _ in range(3)]

    assert all(isinstance(key, ec.EllipticCurvePublicKey) for key in keys)
    assert {key.curve.name for key in keys} == {"secp256r1"}
    assert len({key.public_numbers().x for key in keys}) == 3


def test_a_process_is_gone_when_it_was_of_this_host_and_runs_no_more() -> None:
    host = process_name().rpartition("/")[0]
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        name = f"{host}/{other.pid}"
        alive = surely_gone(name)
        other.kill()
        other.wait()

    assert process_name() == f"{host}/{os.getpid()}"
    assert not alive
    assert surely_gone(name)
    assert not surely_gone(name.replace(host, f"not-{host}"))


@pytest.mark.parametrize("name", ["", "{host}", "{host}/", "{host}/one", "{host}/-7", f"{{host}}/{1 << 80}"])
def test_what_is_no_name_of_a_process_is_not_called_gone(name: str) -> None:
    assert not surely_gone(name.format(host=process_name().rpartition("/")[0]))
