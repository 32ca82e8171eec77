"""The cluster that a test speaks to: every side in turn."""

from collections.abc import Iterator

import pytest

from tests.contract.cluster_sides import SIDES, Side


@pytest.fixture(scope="module", params=sorted(SIDES))
def side(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    yield from SIDES[request.param](tmp_path_factory.mktemp("kubeconfig"))
