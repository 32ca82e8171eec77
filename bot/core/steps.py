"""The catalogue of steps: what each is called, how long it may take, what people feel, how it is undone.

What a step does is in `flow.runners`; which steps a plan has, and in which order, in `planning`.
"""

from dataclasses import dataclass
from datetime import timedelta

from bot.core.mesh import ObjectRef
from bot.core.plan import Step, StepKind

CITADEL_RESYNC = timedelta(seconds=60)
"""How long Citadel may wait before it looks at a secret again (secretResyncPeriod)."""

CITADEL_SECRETS_PER_SECOND = 2.5
"""client-go's default rate limit lets Citadel re-issue about this many."""

PROXY_DELAY = timedelta(minutes=3)
"""Kubelet sync (60 to 90 s), the watcher's debounce (10 s), and the hot restart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEntry:
    """One row of the catalogue."""

    kind: StepKind
    title: str
    """May hold `{target}`."""
    felt: str
    undo: str
    takes: timedelta
    slack: timedelta
    """Added to three times the estimate for the deadline."""


_CATALOGUE = {
    entry.kind: entry
    for entry in (
        StepEntry(
            kind=StepKind.BACK_UP,
            title="Back up the CA secret into {target}",
            felt="",
            undo="the backup stays",
            takes=timedelta(seconds=2),
            slack=timedelta(minutes=5),
        ),
        StepEntry(
            kind=StepKind.WRITE_ROOT,
            title="Write the root into {target}, in place",
            felt="",
            undo="the bytes from the backup are written back the same way",
            takes=timedelta(seconds=2),
            slack=timedelta(minutes=5),
        ),
        StepEntry(
            kind=StepKind.RELOAD_CA,
            title="Roll {target} over, so that Citadel loads the root",
            felt="new certificates wait for a moment; running workloads do not notice",
            undo="rolled over again after the old bytes are back",
            takes=timedelta(minutes=1),
            slack=timedelta(minutes=10),
        ),
        StepEntry(
            kind=StepKind.AWAIT_SECRETS,
            title="Wait until every workload secret carries the root",
            felt="sidecars hot-restart as their secrets change; long connections are drained within 45 s",
            undo="Citadel re-issues them again",
            takes=CITADEL_RESYNC,
            slack=timedelta(minutes=10),
        ),
        StepEntry(
            kind=StepKind.AWAIT_WEBHOOKS,
            title="Wait until the API server trusts the mesh's webhooks under the root",
            felt="a component that has not updated its webhook after 5 minutes is restarted",
            undo="the components write the old root back",
            takes=timedelta(minutes=2),
            slack=timedelta(minutes=15),
        ),
        StepEntry(
            kind=StepKind.RESTART,
            title="Restart {target}, if it still holds the other root",
            felt="",
            undo="restarted again after the old root is back",
            takes=timedelta(minutes=1),
            slack=timedelta(minutes=10),
        ),
        StepEntry(
            kind=StepKind.AWAIT_PROXIES,
            title="Wait until every proxy has loaded the root",
            felt="sidecars hot-restart; long connections are drained within 45 s",
            undo="proxies load the old root the same way",
            takes=PROXY_DELAY,
            slack=timedelta(minutes=15),
        ),
        StepEntry(
            kind=StepKind.VERIFY,
            title="Verify everything that holds a root",
            felt="",
            undo="",
            takes=timedelta(seconds=30),
            slack=timedelta(minutes=10),
        ),
    )
}


def make_step(
    kind: StepKind,
    *,
    target: ObjectRef | None = None,
    why: str = "",
    felt: str = "",
    more_time: timedelta = timedelta(),
) -> Step:
    """A step from the catalogue; `more_time` is what this mesh's size adds to the estimate."""
    entry = _CATALOGUE[kind]
    takes = entry.takes + more_time
    return Step(
        id=_step_id(kind, target),
        kind=kind,
        title=entry.title.format(target=target),
        target=target,
        why=why,
        felt=felt or entry.felt,
        undo=entry.undo,
        takes=takes,
        deadline=3 * takes + entry.slack,
    )


def _step_id(kind: StepKind, target: ObjectRef | None) -> str:
    name = kind.replace("_", "-")
    return f"{name}-{target.kind.lower()}-{target.name}" if kind is StepKind.RESTART and target else name


def reissue_time(secrets: int) -> timedelta:
    """How long Citadel needs for so many secrets, its resync not included."""
    return timedelta(seconds=round(secrets / CITADEL_SECRETS_PER_SECOND))
