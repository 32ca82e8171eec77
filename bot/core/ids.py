"""Names that must not be mixed up: the type checker keeps them apart."""

from typing import NewType

MeshName = NewType("MeshName", str)
"""What people call a mesh, from the settings: `prod`."""

RotationId = NewType("RotationId", str)
"""128 random bits as 32 lower-case hex digits; the only thing a button carries."""

PlanDigest = NewType("PlanDigest", str)
"""SHA-256 over a plan's canonical JSON, lower-case hex, whole."""

Fingerprint = NewType("Fingerprint", str)
"""SHA-256 over a certificate's DER, lower-case hex, whole; chat shows 16 characters."""

UserId = NewType("UserId", str)
"""A Slack user id (`U…` or `W…`); unique only together with its team id."""

TeamId = NewType("TeamId", str)
"""A Slack workspace id (`T…`)."""

ClusterUid = NewType("ClusterUid", str)
"""The uid of the namespace `kube-system`: a cluster's identity, whatever its name or address."""
