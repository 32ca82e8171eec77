"""Names that Istio, Kubernetes and the manifests give to what is read and written here.

Each stands once: what is told to people and what is asked of the API server must not drift apart.
"""

CA_SECRET = "istio-ca-secret"  # noqa: S105 - a name
"""The Secret that a self-signed Citadel signs from, in the mesh's namespace."""

PLUGGED_SECRET = "cacerts"  # noqa: S105 - a name
"""The Secret that a plugged-in CA is mounted from, in the mesh's namespace."""

BACKUP_SECRET = "rootkeeper-backup"  # noqa: S105 - a name
"""The Secret that CA secrets are backed up into, in the mesh's namespace; the manifests make it."""

TRUST_CONFIG_MAP = "istio-security"
"""The ConfigMap in which Citadel publishes its root, in the mesh's namespace."""

ROOT_KEY = "ca-cert.pem"
"""The CA secret's entry with the root: the signer first, then further trusted roots."""

MESH_FILES = "/etc/certs/"
"""Where sidecars have the mesh's certificates: what names files there hangs on the root."""
