"""Whether a certificate that was seen in use is accepted: the one rule for secrets, proxies and webhooks."""

from datetime import timedelta

from bot.core.certificates import Certificate
from bot.core.issuing import CLOCK_SKEW
from bot.core.mesh import MeshSnapshot
from bot.core.verifiers import why_not_issued_by


def why_refused(leaf: Certificate, root: Certificate, *, seen: MeshSnapshot) -> str | None:
    """Why a verifier of this mesh would refuse a leaf that was seen in use; None when all accept.

    Citadel's leaves are valid from the second they are made, by the cluster's clock: one may be newer
    than the look that found it. So one that begins within the tolerance has begun.
    """
    ahead = max(seen.clock_skew or timedelta(), timedelta())
    return why_not_issued_by(leaf, root, at=seen.taken_at, begun_by=seen.taken_at + ahead + CLOCK_SKEW)
