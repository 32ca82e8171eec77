"""Decides: values in, values out. No clock, randomness, files, network or threads here."""
