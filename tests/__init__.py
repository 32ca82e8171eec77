"""The tests, in layers: unit, contract, scenario, real."""
