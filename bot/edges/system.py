"""The machine: its clock, its randomness and its processes.

The one file in which time is read and keys, ids and serial numbers are made; everything else is
handed them, so that tests can hand it others.
"""

import os
import secrets
import socket
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec

from bot.core.certificates import ThrowAwayKey
from bot.core.ids import RotationId

SERIAL_BITS = 127
"""RFC 5280 allows 20 octets and wants a positive number; Go's own generator uses 128 bits at most."""


class SystemClock:
    """The Clock port: this machine's time."""

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)


class SystemKeys:
    """The Keys port: the operating system's randomness."""

    def rotation_id(self) -> RotationId:
        """128 random bits."""
        return RotationId(secrets.token_hex(16))

    def serial(self) -> int:
        """A positive random number of 127 bits: the top bit is set, so it is never zero or short."""
        return secrets.randbits(SERIAL_BITS - 1) | 1 << (SERIAL_BITS - 1)

    def throw_away_key(self) -> ThrowAwayKey:
        """The public half of a fresh P-256 key; the private half ends with this call."""
        return ec.generate_private_key(ec.SECP256R1()).public_key()


def process_name() -> str:
    """This process among all that may lead: `host/pid`.

    In a container that was started again it is the same as before (its host is the pod, its pid 1).
    """
    return f"{socket.gethostname()}/{os.getpid()}"


def surely_gone(name: str) -> bool:
    """Whether a process that had this name on this host runs no more; False in any doubt."""
    host, _, pid = name.rpartition("/")
    if host != socket.gethostname() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)  # the null signal: asks only whether there is such a process (kill(2))
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False
