"""What runs in a pod, as the kubelet sees it: it starts, perhaps crashes, reads files, ends."""

from typing import Protocol

from bot.sandbox.cluster.objects import Json

Files = dict[str, Json]  # mounted secrets: name to ``data``


class Process(Protocol):
    """One container's process; ``name`` is what runs, ``pilot``, ``istio-proxy``."""

    name: str

    def start(self, mounted: Files) -> None:
        """Begin; raises ``CrashError`` if it ends at once."""

    def files_changed(self, mounted: Files) -> None:
        """The kubelet has swapped the files."""

    def stop(self) -> None:
        """End."""

    def holds(self) -> str:
        """The root in memory, base64 of PEM, empty if none: the truth, whether observable or not."""
