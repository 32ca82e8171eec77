"""For every layer: the report at the end. Fixtures stand with the tests that use them."""

import os

import pytest

from tests.layers import LAYERS, LayerReport


def pytest_configure(config: pytest.Config) -> None:
    """Make the layers known to pytest."""
    for name, description in LAYERS.items():
        config.addinivalue_line("markers", f"{name}: {description}")
    config.pluginmanager.register(LayerReport(ci=os.environ.get("CI") == "true"), "layers")
