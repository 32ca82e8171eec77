"""Mirrors bot/edges."""
