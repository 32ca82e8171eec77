"""How old the API server is: which versions of groups it serves, what it does not know yet.

Sources: Kubernetes' guide to deprecated APIs (coordination, admissionregistration);
``k8s.io/apiserver/pkg/endpoints/handlers`` of 1.10 to 1.15 (``isDryRun``, ``AllowsConversion``);
``k8s.io/apimachinery/pkg/apis/meta/v1beta1/types.go`` before 1.15, whose list of metadata has none of its own.
"""

from dataclasses import dataclass

from bot.sandbox.cluster.objects import Json
from bot.sandbox.cluster.resources import GROUP_VERSIONS, Resource
from bot.sandbox.cluster.status import bad_request
from bot.sandbox.cluster.versions import older

NEWEST = "v1.37.2"  # as the project's test bed
_KEPT_AS = "v1"  # of the groups below, what objects are stored as
_FOREVER = 10_000

# (group, version): from which minor version of Kubernetes 1 it is served, and from which no more.
_LIVES: dict[tuple[str, str], tuple[int, int]] = {
    ("admissionregistration.k8s.io", "v1beta1"): (9, 22),
    ("admissionregistration.k8s.io", "v1"): (16, _FOREVER),
    ("coordination.k8s.io", "v1beta1"): (12, 22),
    ("coordination.k8s.io", "v1"): (14, _FOREVER),
}


@dataclass(frozen=True, slots=True)
class Age:
    """The age of one API server, by its own version."""

    version: str = NEWEST
    istio: str = "1.4.10"
    """Whose CRDs are there."""

    @property
    def minor(self) -> int:
        """``13`` of ``v1.13.12-gke.30``."""
        return int(self.version.removeprefix("v").split(".")[1])

    def kept_as(self, group: str, version: str) -> str:
        """In which version the objects of a served group are stored; empty if it is not served."""
        start, end = _LIVES.get((group, version), (0, _FOREVER))
        if not start <= self.minor < end:
            return ""
        if (group, version) in _LIVES:
            return _KEPT_AS
        return version if (group, version) in GROUP_VERSIONS else ""

    def knows(self, row: Resource) -> bool:
        """Is the CRD of a custom resource there?"""
        return not row.since or not older(self.istio, row.since)

    def versions(self, group: str) -> list[str]:
        """The served versions of a group, the preferred one first."""
        known = {each for of, each in (*GROUP_VERSIONS, *_LIVES) if of == group}
        return sorted(
            (each for each in known if self.kept_as(group, each)), key=lambda each: (len(each), each)
        )

    def metadata_version(self, kind: dict[str, str]) -> str:
        """What a client that asks for metadata only gets: ``v1``, ``v1beta1``, or nothing of that kind."""
        version = kind.get("v", "")
        known = (version == "v1" and self.minor >= 15) or (version == "v1beta1" and self.minor >= 10)
        wanted = kind.get("as") in ("PartialObjectMetadata", "PartialObjectMetadataList")
        return version if wanted and known and kind.get("g") == "meta.k8s.io" else ""

    def lists_metadata_in_pages(self, version: str) -> bool:
        """Has a list of metadata in this version metadata of its own, and so a token to go on with?"""
        return version == "v1" or self.minor >= 15

    def dry_run(self, query: dict[str, list[str]]) -> dict[str, list[str]]:
        """The query as this server reads it: 1.10 and before overlook ``dryRun``, and write.

        Raises:
            ApiError: 400 from 1.11 and 1.12, which know of it and cannot do it.
        """
        if "dryRun" not in query or self.minor >= 13:
            return query
        if self.minor <= 10:
            return {key: each for key, each in query.items() if key != "dryRun"}
        told = {11: "dryRun is not supported yet", 12: "the dryRun alpha feature is disabled"}
        raise bad_request(told[self.minor])

    @property
    def counts_what_is_left(self) -> bool:
        """Does a list say how many objects are left?"""
        return self.minor >= 15

    @property
    def tells_writers(self) -> bool:
        """Does every object carry ``managedFields``?"""
        return self.minor >= 18

    @property
    def locks_secrets(self) -> bool:
        """Does a Secret have the field ``immutable``? Before, it is dropped like any unknown one."""
        return self.minor >= 18

    @property
    def labels_namespaces(self) -> bool:
        """Does a namespace get a label with its name?"""
        return self.minor >= 21

    @property
    def streams_by_create(self) -> bool:
        """Does an upgrade need the verb ``create`` beside ``get``?"""
        return self.minor >= 35

    def dressed(self, value: Json) -> Json:
        """An object of the scene as a server of this age has it."""
        metadata = {
            key: each
            for key, each in value["metadata"].items()
            if self.tells_writers or key != "managedFields"
        }
        if not self.labels_namespaces and "kubernetes.io/metadata.name" in metadata.get("labels", {}):
            kept = {k: v for k, v in metadata["labels"].items() if k != "kubernetes.io/metadata.name"}
            metadata = metadata | {"labels": kept}
        return {**value, "metadata": metadata}
