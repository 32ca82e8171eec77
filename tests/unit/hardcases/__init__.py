"""The hard cases of the facts (6.5), against the pure core."""
