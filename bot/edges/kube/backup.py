"""How backups lie in the backup Secret: `<rotation id>.<key>`, in the order of their making.

Rotation ids are random, so the order stands in an annotation. What the annotation does not know is
of unknown age and is never dropped. The oldest backup stays for ever: it is the mesh's first key.
"""

from bot.core.ids import RotationId
from bot.core.mesh import SecretState
from bot.edges.kube import convert
from bot.edges.kube.wire import WholeSecret
from bot.errors import ClusterRefused

ORDER_ANNOTATION = "rootkeeper.dev/backups"
"""Rotation ids, oldest first, with commas between them."""

KEPT = 20
"""Backups that are kept besides the oldest: at about 5 kB each far below a Secret's 1 MiB."""


def missing_entries(rotation_id: RotationId, live: WholeSecret, kept: WholeSecret) -> dict[str, str]:
    """What of the CA secret's data is not in the backup yet, by the backup's keys.

    Raises:
        ClusterRefused: the rotation has a backup already, of other bytes.
    """
    own = _own(rotation_id, kept)
    data = live.data or {}
    wanted = dict(convert.digests_of(data))
    for key, digest in convert.digests_of(own):
        if wanted.get(key) != digest:
            raise ClusterRefused(f"rotation {rotation_id} has a backup of another {key} already")
    return {f"{rotation_id}.{key}": value for key, value in data.items() if key not in own}


def _own(rotation_id: RotationId, kept: WholeSecret) -> dict[str, str]:
    prefix = f"{rotation_id}."
    data = kept.data or {}
    return {key.removeprefix(prefix): value for key, value in data.items() if key.startswith(prefix)}


def backed_up(rotation_id: RotationId, kept: WholeSecret) -> SecretState:
    """The state of a rotation's copy, keyed as the CA secret is."""
    return SecretState(
        uid=kept.metadata.uid,
        resource_version=kept.metadata.resource_version,
        digests=convert.digests_of(_own(rotation_id, kept)),
    )


def pruned_entries(rotation_id: RotationId, kept: WholeSecret) -> tuple[tuple[str, ...], dict[str, object]]:
    """Which keys to drop when this rotation's backup comes in, and the annotation as it is then."""
    text = (kept.metadata.annotations or {}).get(ORDER_ANNOTATION, "")
    known = [each for each in text.split(",") if each]
    order = known if rotation_id in known else [*known, rotation_id]
    dropped = order[1:-KEPT] if len(order) > KEPT + 1 else []
    keys = tuple(key for key in kept.data or {} if key.partition(".")[0] in dropped)
    left = [each for each in order if each not in dropped]
    return keys, {ORDER_ANNOTATION: ",".join(left)}
