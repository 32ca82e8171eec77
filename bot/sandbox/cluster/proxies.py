"""Sidecars: an Envoy per pod that loads mounted certificates and tells of them at ``/certs``.

Source: ``pilot/pkg/proxy/envoy/watcher.go`` (Istio 1.4.10), Envoy's ``admin/v2alpha/certs.proto``.
"""

import json
from datetime import datetime
from enum import StrEnum

from cryptography import x509

from bot.sandbox.cluster.certificates import first_of
from bot.sandbox.cluster.objects import Json, path, stamp, utc_now
from bot.sandbox.cluster.pace import Pace
from bot.sandbox.cluster.processes import Files
from bot.sandbox.cluster.versions import older, reloads
from bot.sandbox.cluster.workloads import secret_name

DEBOUNCE = 10.0  # seconds of the mesh between the last change of a file and the hot restart
_RESTART = 1.0
_DIRECTORY = "/etc/certs"


class Oddity(StrEnum):
    """Ways in which a proxy's answer is not what a reader hopes for."""

    EMPTY = "empty"  # no TLS context yet: []
    TRUNCATED = "truncated"  # JSON cut in the middle
    HTML = "html"  # an error page
    OLD_FORMAT = "old-format"  # sentences instead of objects (Envoy 1.7)
    UNREACHABLE = "unreachable"  # the admin port refuses
    NO_BINARY = "no-binary"  # no pilot-agent in the image
    EXEC_FAILS = "exec-fails"  # only port-forward works
    SLOW = "slow"  # answers after 5 s of real time
    STUCK = "stuck"  # never loads anything new


def proxy_container(pod: Json) -> Json | None:
    """The container in which a pod's pilot-agent and Envoy run."""
    every = [*pod["spec"]["containers"], *(path(pod, "spec", "initContainers") or [])]
    return next((each for each in every if each["name"] == "istio-proxy" or _runs_proxy(each)), None)


def _runs_proxy(container: Json) -> bool:
    return bool(container.get("args")) and container["args"][0] == "proxy"


class Envoy:
    """One sidecar's pilot-agent and Envoy."""

    def __init__(
        self, pace: Pace, *, version: str, workload: str, contexts: int, oddity: Oddity | None = None
    ) -> None:
        """Make a sidecar of ``namespace/serviceaccount`` with so many TLS contexts."""
        self.name = "istio-proxy"
        self.version = version
        self.oddity = oddity
        self._pace = pace
        self.workload = workload
        self._secret = secret_name(workload.partition("/")[2])
        self._contexts = contexts
        self._files: Json = {}
        self._loaded: Json = {}
        self._changes = 0
        self._running = False

    @property
    def refuses(self) -> bool:
        """Is nobody listening on the admin port?"""
        return self.oddity is Oddity.UNREACHABLE

    def start(self, mounted: Files) -> None:
        """Load what is mounted."""
        self._running = True
        self._files = self._loaded = mounted.get(self._secret) or {}

    def stop(self) -> None:
        """End."""
        self._running = False

    def files_changed(self, mounted: Files) -> None:
        """Hot restart once the files have been quiet for the debounce, if this version notices at all."""
        self._files = mounted.get(self._secret) or {}
        if not reloads(self.version) or self.oddity is Oddity.STUCK:
            return
        self._changes += 1
        change = self._changes
        self._pace.later(DEBOUNCE + _RESTART, lambda: self._reload(change))

    def _reload(self, change: int) -> None:
        if self._running and change == self._changes:
            self._loaded = self._files

    def holds(self) -> str:
        """The root that Envoy verifies its peers with."""
        return str(self._loaded.get("root-cert.pem") or "")

    def certs(self) -> tuple[bytes, str]:
        """The answer of ``GET /certs`` and its content type."""
        if self.oddity is Oddity.HTML:
            page = "<html><head><title>503 Service Unavailable</title></head><body>upstream</body></html>"
            return page.encode(), "text/html"
        entries = [] if self.oddity is Oddity.EMPTY else [self._context()] * self._contexts
        if not self._loaded:
            entries = []
        text = json.dumps({"certificates": entries}, indent=1) + "\n"
        if self.oddity is Oddity.TRUNCATED:
            text = text[: max(40, len(text) // 2)]
        return text.encode(), "application/json"

    def _context(self) -> Json:
        root = first_of(self._loaded.get("root-cert.pem") or "")
        leaf = first_of(self._loaded.get("cert-chain.pem") or "")
        form = _sentence if self.oddity is Oddity.OLD_FORMAT else self._object
        sides = {
            "ca_cert": form(root, "root-cert.pem") if root else None,
            "cert_chain": form(leaf, "cert-chain.pem") if leaf else None,
        }
        if self.oddity is Oddity.OLD_FORMAT:
            return sides
        return {side: [each] if each else [] for side, each in sides.items()}

    def _object(self, certificate: x509.Certificate, file: str) -> Json:
        names: Json = {"subject_alt_names": _alternative_names(certificate)}
        if older(self.version, "1.1.0"):
            names = {}
        return {
            "path": f"{_DIRECTORY}/{file}",
            "serial_number": serial_text(certificate),
            **names,
            "days_until_expiration": str(_days(certificate)),
            "valid_from": stamp(certificate.not_valid_before_utc),
            "expiration_time": stamp(certificate.not_valid_after_utc),
        }


def _sentence(certificate: x509.Certificate, file: str) -> str:
    where = f"Certificate Path: {_DIRECTORY}/{file}, Serial Number: {serial_text(certificate)}"
    return f"{where}, Days until Expiration: {_days(certificate)}"


def serial_text(certificate: x509.Certificate) -> str:
    """Hex without leading zero bytes, as BoringSSL prints a serial."""
    number = certificate.serial_number
    return f"{number:0{(number.bit_length() + 7) // 8 * 2}x}"


def _days(certificate: x509.Certificate, now: datetime | None = None) -> int:
    return max(0, (certificate.not_valid_after_utc - (now or utc_now())).days)


def _alternative_names(certificate: x509.Certificate) -> list[Json]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    identities = [{"uri": each} for each in names.get_values_for_type(x509.UniformResourceIdentifier)]
    return identities + [{"dns": each} for each in names.get_values_for_type(x509.DNSName)]
