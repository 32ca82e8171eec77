"""Checks: rows of (id, title, severity, hint, rule) and the chains that ask them.

`table` holds the rows and the chains; the rules stand in `ca`, `holders` and `proof`.
"""
