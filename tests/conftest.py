"""For every layer: the report at the end, and the figures in it. Other fixtures stand with their tests."""

import os
from collections.abc import Callable

import pytest

from tests.layers import LAYERS, LayerReport
from tests.measuring import FIGURE, Measured


def pytest_configure(config: pytest.Config) -> None:
    """Make the layers known to pytest."""
    for name, description in LAYERS.items():
        config.addinivalue_line("markers", f"{name}: {description}")
    config.pluginmanager.register(LayerReport(ci=os.environ.get("CI") == "true"), "layers")


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Measured:
    """Takes a figure into the report at the end."""
    return lambda what, value, unit: record_property(FIGURE, f"{what}: {value:.4g} {unit}".rstrip())
