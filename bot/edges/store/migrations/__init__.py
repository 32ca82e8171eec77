"""Alembic's environment and scripts, shipped inside the package so that `run` can upgrade."""
