"""Rootkeeper: Istio root certificates, watched and rotated from Slack."""
