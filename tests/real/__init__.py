"""The real layer: against a real API server, Citadel and Envoys."""
