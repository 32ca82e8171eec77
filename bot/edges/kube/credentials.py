"""Credentials that change under the bot: a token in a file, an exec plugin that may never end.

Beside `connection` the only file that touches the Kubernetes library; it mends what that leaves open.
"""

import subprocess
from pathlib import Path
from threading import Lock
from time import monotonic
from types import SimpleNamespace
from typing import Any

from kubernetes.config import exec_provider, kube_config

TOKEN_SECONDS = 60.0
"""After which a token file is read again, as client-go does; kubelet renews a token long before its end."""

PLUGIN_SECONDS = 60.0
"""For an exec plugin: time for a login in a browser, and for no more than that."""


class TokenFile:
    """A bearer token in a file that somebody renews: a kubeconfig's `tokenFile`, or a pod's own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._token = ""
        self._read_at = 0.0

    def authorization(self) -> str:
        """The header's value; the last token that could be read, while the file cannot be.

        Raises:
            OSError, ValueError: there is none yet.
        """
        with self._lock:
            if not self._token or monotonic() >= self._read_at + TOKEN_SECONDS:
                self._read()
            return f"Bearer {self._token}"

    def renewed(self, refused: str) -> bool:
        """Read it at once, because the API server refused this header; whether there is another now."""
        with self._lock:
            self._read()
            return f"Bearer {self._token}" != refused

    def _read(self) -> None:
        try:
            token = self._path.read_text().strip()
        except (OSError, ValueError):
            if not self._token:
                raise
            token = ""
        if token:
            self._token, self._read_at = token, monotonic()
        elif not self._token:
            raise ValueError(f"the token file {self._path} is empty")
        # Else it is read while it is being written: a token holds longer than that.


def token_file(config: str | None, context: str | None) -> Path | None:
    """The `tokenFile` of a kubeconfig's user, which goes before its `token`; None where it has none.

    Raises:
        ConfigException and what else a broken kubeconfig makes the library raise.
    """
    library: Any = kube_config
    found = library.KubeConfigMerger(config or kube_config.KUBE_CONFIG_DEFAULT_LOCATION).config
    name = context or found["current-context"]
    user = found["contexts"].get_with_name(name)["context"].safe_get("user")
    entry = found["users"].get_with_name(user, safe=True) if user and found.safe_get("users") else None
    path = entry["user"].safe_get("tokenFile") if entry and entry.safe_get("user") else None
    return Path(entry.path).absolute().parent / path if entry and path else None


class PluginHung(BaseException):
    """Private to this edge. No Exception, because the library logs those and goes on without a token."""


class _Plugin(subprocess.Popen[str]):
    def communicate(self, input: Any = None, timeout: float | None = None) -> Any:  # noqa: A002
        """What the library calls without a time-out.

        Raises:
            PluginHung: it did not end in time.
        """
        try:
            return super().communicate(input, PLUGIN_SECONDS if timeout is None else timeout)
        except subprocess.TimeoutExpired:
            self._end()
            text = f"the exec plugin of the kubeconfig did not end within {PLUGIN_SECONDS:g} s"
            raise PluginHung(text) from None

    def _end(self) -> None:
        """Not by waiting for the end of its output: what it started may keep that open."""
        self.kill()
        self.wait()
        for pipe in (self.stdout, self.stderr):
            if pipe:
                pipe.close()


def bound_plugins() -> None:
    """Let no exec plugin that the library starts run for longer than PLUGIN_SECONDS."""
    library: Any = exec_provider
    library.subprocess = SimpleNamespace(Popen=_Plugin, PIPE=subprocess.PIPE)
