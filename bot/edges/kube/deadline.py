"""A moment by which something has to be over, however often it shows signs of life until then."""

from time import monotonic

from bot.errors import ClusterUnreachable


class Deadline:
    """A moment by which all of a conversation has to be over."""

    def __init__(self, seconds: float) -> None:
        self._end = monotonic() + seconds
        self._seconds = seconds

    @property
    def rest(self) -> float:
        """Seconds that are left; none or less when it is past."""
        return self._end - monotonic()

    def left(self) -> float:
        """Seconds that are left.

        Raises:
            ClusterUnreachable: none.
        """
        rest = self.rest
        if rest <= 0:
            raise ClusterUnreachable(f"did not answer within {self._seconds:g} s")
        return rest

    def shorten(self, seconds: float) -> None:
        """Let it be over within so many seconds from now, if it was not to be sooner."""
        self._end = min(self._end, monotonic() + seconds)
