"""Which cures stand as they are beside a rotation, and which are left to it."""

import pytest

from bot.core.checks.table import BASELINE, EXPIRY
from bot.core.rotation import RotationState
from bot.core.standing import BROUGHT_UP, Standing
from bot.core.verification import Holder, judge_proxies
from tests.unit.core.builders import SYSTEM, a_mesh, a_namespace, a_proxy, a_root, loaded, the_root
from tests.unit.hardcases.making import DAY, NOW, key

OLDER = a_root(key(), since=NOW - 300 * DAY, until=NOW + 65 * DAY, serial=7)
GIVE_BACK = "give it back to Citadel or take it out of the mesh, then restart Deployment cart"


def test_every_check_of_what_a_rotation_brings_up_is_one_of_them() -> None:
    assert {check.id for check in (*BASELINE, EXPIRY)} == BROUGHT_UP


@pytest.mark.parametrize(
    ("awaited", "cure"),
    [({Holder.PROXY}, GIVE_BACK), ({Holder.SECRET}, "decide on the rotation's card first")],
)
def test_a_proxy_that_citadel_leaves_alone_is_given_back_once_a_paused_rotation_waits_for_it(
    awaited: set[Holder], cure: str
) -> None:
    shut = (a_namespace(SYSTEM), a_namespace(override="false"))
    mesh = a_mesh(proxies=(a_proxy(roots=(loaded(OLDER),)),), namespaces=shut)
    standing = Standing(state=RotationState.PAUSED, awaited=frozenset(awaited))

    (cart,) = standing.holders(judge_proxies(mesh, the_root()))

    assert cart.cure == cure
