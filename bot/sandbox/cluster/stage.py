"""Where a scene's objects are put together: identities, dates and pods with their owners."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from bot.sandbox.cluster import podstatus, workloads
from bot.sandbox.cluster.certificates import Authority
from bot.sandbox.cluster.deployments import owner, pod_of, replica_set
from bot.sandbox.cluster.objects import Json, name_of, stamp
from bot.sandbox.cluster.resources import DEPLOYMENTS
from bot.sandbox.cluster.validation import decoded

PODS_AGE = timedelta(days=20)
LEAF_AGE = timedelta(days=10)
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(slots=True, kw_only=True)
class Stage:
    """Objects in order of their making; every one gets a UID and a date."""

    now: datetime
    random: Random
    system: str
    trust_domain: str = "cluster.local"
    authority: Authority | None = None
    objects: list[Json] = field(default_factory=list)
    leaves: int = 0

    @property
    def founded(self) -> datetime:
        """When the cluster was made: with its root."""
        assert self.authority is not None
        return min(self.authority.certificate.not_valid_before_utc, self.now - timedelta(days=30))

    def add(self, api_version: str, kind: str, name: str, **more: object) -> Json:
        """Put an object on the stage; ``namespace``, ``labels``, ``annotations`` and ``at`` are metadata."""
        metadata: Json = {"name": name}
        at = more.pop("at", None)
        for key in ("namespace", "labels", "annotations"):
            if each := more.pop(key, None):
                metadata[key] = each
        return self.put({"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}, at)

    def put(self, value: Json, at: object = None) -> Json:
        """Put a ready object on the stage, made at ``at``, else with the cluster."""
        moment = at if isinstance(at, datetime) else self.founded
        value["metadata"]["uid"] = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        value["metadata"]["creationTimestamp"] = stamp(moment)
        self.objects.append(value)
        return value

    def account(self, namespace: str, name: str) -> None:
        """A service account and, once it is a day old, its secret."""
        self.add("v1", "ServiceAccount", name, namespace=namespace)

    def issue(self, namespace: str, account: str) -> None:
        """The secret that Citadel made for an account."""
        value = workloads.secret(namespace, account, self.certified(namespace, account))
        self.put(value)

    def certified(self, namespace: str, account: str) -> dict[str, str]:
        """Leaf, key and root as Citadel issued them some days ago."""
        assert self.authority is not None
        self.leaves += 1
        return workloads.issued(
            self.authority,
            namespace=namespace,
            account=account,
            trust_domain=self.trust_domain,
            now=self.now - LEAF_AGE,
            key_number=self.leaves,
        )

    def deployment(self, name: str, *, namespace: str, replicas: int, template: Json, labels: Json) -> None:
        """A Deployment that has been available for long, with its ReplicaSet and ready pods."""
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": template["metadata"]["labels"]},
            "template": template,
            "strategy": rolling,
        }
        notes = {"deployment.kubernetes.io/revision": "1"}
        made = self.add(
            "apps/v1", "Deployment", name, namespace=namespace, labels=labels, annotations=notes, spec=spec
        )
        decoded(DEPLOYMENTS, made)
        made["metadata"]["generation"] = 1
        set_ = self.put(replica_set(made, replicas=replicas, revision=1))
        set_["metadata"]["generation"] = 1
        counts = {"replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas}
        set_["status"] = {**counts, "fullyLabeledReplicas": replicas, "observedGeneration": 1}
        made["status"] = {"observedGeneration": 1, **counts, "updatedReplicas": replicas}
        made["status"]["conditions"] = self._conditions(set_)
        for _ in range(replicas):
            self.pod(pod_of(set_))

    def _conditions(self, set_: Json) -> list[Json]:
        at = stamp(self.founded)
        texts = {
            "Available": ("MinimumReplicasAvailable", "Deployment has minimum availability."),
            "Progressing": (
                "NewReplicaSetAvailable",
                f'ReplicaSet "{name_of(set_)}" has successfully progressed.',
            ),
        }
        return [
            {
                "type": kind,
                "status": "True",
                "lastUpdateTime": at,
                "lastTransitionTime": at,
                "reason": reason,
                "message": message,
            }
            for kind, (reason, message) in texts.items()
        ]

    def pod(self, value: Json, *, owner_of: Json | None = None) -> Json:
        """A pod that runs and is ready since some days."""
        metadata = value["metadata"]
        prefix = metadata.pop("generateName", None)
        if prefix:
            metadata["generateName"] = prefix
            metadata["name"] = prefix + "".join(self.random.choice(_SUFFIX) for _ in range(5))
        if owner_of is not None:
            metadata["ownerReferences"] = [owner(owner_of)]
        value["spec"]["nodeName"] = f"node-{self.random.randint(1, 3)}"
        at = self.now - PODS_AGE
        self.put(value, at)
        value["status"] = podstatus.running(value, ready=True, since=stamp(at))
        return value


def template(
    labels: Json, *, account: str, containers: list[Json], volumes: list[Json] | None = None
) -> Json:
    """A pod template."""
    spec: Json = {"serviceAccountName": account, "containers": containers, "restartPolicy": "Always"}
    if volumes:
        spec["volumes"] = volumes
    return {"metadata": {"labels": labels}, "spec": spec}


def container(name: str, image: str, *, mount: str = "", volume: str = "", **more: object) -> Json:
    """A container, with one volume mounted where given."""
    value: Json = {"name": name, "image": image, **more}
    if mount:
        value["volumeMounts"] = [{"name": volume, "mountPath": mount, "readOnly": True}]
    return value


def secret_volume(name: str, secret: str, *, optional: bool = True) -> Json:
    """A volume from a Secret."""
    return {"name": name, "secret": {"secretName": secret, "optional": optional, "defaultMode": 420}}


def sidecar(version: str) -> Json:
    """The proxy container that the injector adds."""
    return _proxy("istio-proxy", version, ["sidecar", "--domain", "$(POD_NAMESPACE).svc.cluster.local"])


def gateway(name: str, version: str) -> Json:
    """A gateway's only container; the charts of 1.0.0 call it as they call the gateway."""
    return _proxy(name if version == "1.0.0" else "istio-proxy", version, ["router"])


def _proxy(name: str, version: str, role: list[str]) -> Json:
    image = f"docker.io/istio/proxyv2:{version}"
    return container(name, image, mount="/etc/certs/", volume="istio-certs", args=["proxy", *role])
