"""Orders: the use cases, over the protocols in `ports`. No third-party library here."""
