"""The kubelet's part for mounted secrets: Secret object → directory, swapped atomically.

Laid out as pkg/volume/util/atomic_writer.go of Kubernetes does it: the files are links through `..data`,
which is a link to a dated directory and is replaced by a rename.
"""

import base64
import itertools
import os
import shutil
import time
from pathlib import Path

from tests.testbed.api import Object

_SEQUENCE = itertools.count()


class Mount:
    """One secret volume of one pod.

    A real kubelet notices a change 60 to 90 s late; here `delay` says how late (seconds). The first content
    comes at once: a pod does not start without its volumes.
    """

    def __init__(self, directory: Path, *, delay: float) -> None:
        self.directory = directory
        self._delay = delay
        self._written: str | None = None  # resourceVersion
        self._due: tuple[str, float] | None = None
        directory.mkdir(parents=True, mode=0o700)

    @property
    def filled(self) -> bool:
        return self._written is not None

    def take(self, secret: Object) -> bool:
        """Look at the secret as it is now; True when the directory has just changed."""
        version = secret["metadata"]["resourceVersion"]
        if version == self._written:
            return False
        if self._due is None or self._due[0] != version:
            noticed = self._due[1] if self._due else time.monotonic() + (self._delay if self.filled else 0)
            self._due = (version, noticed)
        if time.monotonic() < self._due[1]:
            return False
        self._write({key: base64.b64decode(value) for key, value in secret.get("data", {}).items()})
        self._written, self._due = version, None
        return True

    def read(self, name: str) -> bytes:
        """Give a file as a process in the pod would read it; empty if there is none."""
        path = self.directory / name
        return path.read_bytes() if path.exists() else b""

    def _write(self, files: dict[str, bytes]) -> None:
        fresh = self.directory / f"..{next(_SEQUENCE):06d}"
        fresh.mkdir(mode=0o700)
        for name, content in files.items():
            (fresh / name).touch(mode=0o600)
            (fresh / name).write_bytes(content)
        data, swap = self.directory / "..data", self.directory / "..data_tmp"
        before = data.resolve() if data.exists() else None
        swap.symlink_to(fresh.name)
        os.replace(swap, data)  # noqa: PTH105  (the one call that is atomic, by its usual name)
        for name in files:
            link = self.directory / name
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}")
        if before is not None:
            shutil.rmtree(before)
