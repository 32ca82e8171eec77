"""Slack's rate limits: so many calls of a method in a minute, and one message a second in a channel.

Token buckets over the stand-in's clock. `factor` scales every limit: 1 is Slack's, 0.1 ten times stricter.
Source: facts/slack.md section 3 (tiers 1 to 4 and "special").
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

PER_MINUTE = {"tier1": 1, "tier2": 20, "tier3": 50, "tier4": 100, "special": 600}
WORKSPACE_POSTS_PER_MINUTE = 300  # "several hundred messages a minute"
CHANNEL_BURST = 5


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Throttle:
    """Decides whether a call may pass now."""

    def __init__(self, clock: Callable[[], float], *, factor: float) -> None:
        self._clock = clock
        self._factor = factor
        self._buckets: dict[str, _Bucket] = {}

    def method(self, name: str, tier: str) -> int:
        """Seconds that a call of this method has to wait (0: it may pass)."""
        per_minute = PER_MINUTE[tier] * self._factor
        return self._take(name, per_second=per_minute / 60, burst=per_minute)

    def post(self, channel: str) -> int:
        """The same for chat.postMessage, which is limited per channel and per workspace."""
        per_minute = WORKSPACE_POSTS_PER_MINUTE * self._factor
        return self._take(
            f"post {channel}", per_second=self._factor, burst=CHANNEL_BURST * self._factor
        ) or self._take("post", per_second=per_minute / 60, burst=per_minute)

    def _take(self, key: str, *, per_second: float, burst: float) -> int:
        most, now = max(1.0, burst), self._clock()
        bucket = self._buckets.setdefault(key, _Bucket(left=most, at=now))
        bucket.left = min(most, bucket.left + (now - bucket.at) * per_second)
        bucket.at = now
        if bucket.left >= 1:
            bucket.left -= 1
            return 0
        return max(1, math.ceil((1 - bucket.left) / per_second))
