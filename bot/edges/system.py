"""The machine: its clock and its randomness.

The one file in which time is read and keys, ids and serial numbers are made; everything else is
handed them, so that tests can hand it others.
"""

import secrets
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
