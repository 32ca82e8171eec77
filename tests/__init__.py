"""Tests, in layers: unit, contract, scenario, real."""
