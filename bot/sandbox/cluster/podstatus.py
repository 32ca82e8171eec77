"""``status`` of a pod in the states that it passes through."""

from bot.sandbox.cluster.objects import Json, path, stamp, utc_now

_CONDITIONS = ("Initialized", "Ready", "ContainersReady", "PodScheduled")


def creating(pod: Json) -> Json:
    """Scheduled; images and volumes are being prepared."""
    return waiting(pod, "ContainerCreating")


def waiting(pod: Json, reason: str, message: str = "") -> Json:
    """Scheduled, but its containers wait for ``reason``."""
    state: Json = {"waiting": {"reason": reason} | ({"message": message} if message else {})}
    return _status(pod, "Pending", state=state, ready=False, restarts=0)


def running(pod: Json, *, ready: bool, restarts: int = 0, since: str = "") -> Json:
    """Its containers run."""
    state = {"running": {"startedAt": since or stamp(utc_now())}}
    return _status(pod, "Running", state=state, ready=ready, restarts=restarts, since=since)


def crashed(pod: Json, line: str, *, restarts: int) -> Json:
    """Its containers ended and wait to be started again."""
    state = {
        "waiting": {
            "reason": "CrashLoopBackOff",
            "message": "back-off restarting failed container",
        }
    }
    status = _status(pod, "Running", state=state, ready=False, restarts=restarts)
    last = {"exitCode": 255, "reason": "Error", "message": line, "finishedAt": stamp(utc_now())}
    for each in status["containerStatuses"]:
        each["lastState"] = {"terminated": last}
    return status


def completed(pod: Json, *, since: str) -> Json:
    """Its containers have done their work."""
    state = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": since, "finishedAt": since}}
    return _status(pod, "Succeeded", state=state, ready=False, restarts=0, since=since)


def _status(pod: Json, phase: str, *, state: Json, ready: bool, restarts: int, since: str = "") -> Json:
    now = stamp(utc_now())
    started = path(pod, "status", "startTime") or since or now
    address = path(pod, "status", "podIP") or f"10.{abs(hash(pod['metadata'].get('uid'))) % 200}.0.7"
    return {
        "phase": phase,
        "conditions": [_condition(kind, ready=ready, at=since or now) for kind in _CONDITIONS],
        "hostIP": "10.0.0.1",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": started,
        "containerStatuses": [
            _container(each, state=state, ready=ready, restarts=restarts)
            for each in pod["spec"]["containers"]
        ],
        "qosClass": "Burstable",
    }


def _condition(kind: str, *, ready: bool, at: str) -> Json:
    holds = ready or kind in ("Initialized", "PodScheduled")
    return {"type": kind, "status": str(holds), "lastProbeTime": None, "lastTransitionTime": at}


def _container(container: Json, *, state: Json, ready: bool, restarts: int) -> Json:
    return {
        "name": container["name"],
        "state": state,
        "lastState": {},
        "ready": ready,
        "restartCount": restarts,
        "image": container["image"],
        "imageID": f"docker-pullable://{container['image']}",
        "started": "running" in state,
    }
