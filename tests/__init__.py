<<<<<<< HEAD
"""Tests, in layers: unit, contract, scenario, real."""
=======
"""The tests, in layers: unit, contract, scenario, real."""
>>>>>>> ops
