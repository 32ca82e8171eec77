"""Fixtures of the real layer: one control plane and one Citadel mesh for the whole session."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.layers import missing_tool
from tests.testbed import build
from tests.testbed.bed import TestBed
from tests.testbed.mesh import CitadelMesh

ROOT_LIFETIME = timedelta(days=12)  # short enough that every check has something to say


@pytest.fixture(scope="session")
def built() -> None:
    """Skip with the reason where there is no test bed (CI: fail). Building is `make testbed`'s part."""
    reason = build.available()
    if reason is None and not build.built():
        reason = "the test bed is not built: run `python -m tests.testbed build` once (20 minutes)"
    if reason is not None:
        missing_tool(reason)


@pytest.fixture(scope="session")
def bed(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestBed]:
    """Start a real control plane."""
    with TestBed(tmp_path_factory.mktemp("testbed")) as running:
        yield running


@pytest.fixture(scope="session")
def server(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestBed]:
    """Start a real API server with nothing behind it."""
    with TestBed(tmp_path_factory.mktemp("server"), alone=True) as running:
        yield running


@pytest.fixture(scope="session")
def mesh(bed: TestBed) -> Iterator[CitadelMesh]:
    """Start a mesh whose root has 12 days left, with traffic between two Envoys."""
    with CitadelMesh(bed, root_lifetime=ROOT_LIFETIME) as running:
        yield running
