"""Read the API server's audit log: who did what to which object."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Every request once, when it is answered (a watch: when it ends), with its user but never a body.
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One answered request. `resource` is plural; names are empty where the request has none."""

    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    user: str
    user_agent: str
    status: int
    uri: str  # with its query: a dry run shows here
    at: str  # RFC 3339, UTC

    @property
    def is_dry_run(self) -> bool:
        return "dryRun=All" in self.uri


def read(path: Path) -> tuple[AuditEvent, ...]:
    """Read all events so far, in the order of the log. A line being written right now is left out."""
    if not path.exists():
        return ()
    lines = path.read_text().splitlines(keepends=True)
    return tuple(_event(json.loads(line)) for line in lines if line.endswith("\n"))


def _event(record: dict[str, Any]) -> AuditEvent:
    target = record.get("objectRef", {})
    return AuditEvent(
        verb=record["verb"],
        resource=target.get("resource", ""),
        subresource=target.get("subresource", ""),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        user=record["user"].get("username", ""),
        user_agent=record.get("userAgent", ""),
        status=record.get("responseStatus", {}).get("code", 0),
        uri=record["requestURI"],
        at=record["requestReceivedTimestamp"],
    )
