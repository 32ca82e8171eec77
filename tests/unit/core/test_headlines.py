"""The first sentence of a check: what is wrong, not what is merely so beside it."""

from dataclasses import replace
from datetime import timedelta

from bot.core.authority import recognise
from bot.core.checks.table import ROUTINE
from bot.core.mesh import MeshSnapshot, Part, Unread
from bot.core.reports import check_report
from tests.unit.core.builders import bundle
from tests.unit.hardcases.making import NOW
from tests.unit.hardcases.meshes import ending, findings, healthy


def headline(mesh: MeshSnapshot) -> str:
    found = findings(ROUTINE, mesh)
    return check_report(mesh, recognise(mesh), findings=found, now=NOW, took=timedelta(1)).headline


def behind(mesh: MeshSnapshot) -> MeshSnapshot:
    """No workload secret has a root any more."""
    return replace(mesh, secrets=tuple(replace(one, root=bundle()) for one in mesh.secrets))


def unread(mesh: MeshSnapshot) -> MeshSnapshot:
    return replace(mesh, unread=(Unread(part=Part.PROXIES, what="proxy of shop/cart", reason="silent"),))


def test_a_mesh_in_order_is_fine_and_says_how_long() -> None:
    assert headline(healthy()).startswith("Mesh prod is fine: ")
    assert headline(healthy()).endswith(" until its root certificate expires")


def test_a_root_that_ends_soon_is_what_needs_attention() -> None:
    said = headline(ending(days_left=11.5))

    assert said == "Mesh prod needs attention: 11 days 12 h until its root certificate expires"


def test_what_is_wrong_beside_a_root_that_lives_on_is_named_first() -> None:
    mesh = behind(healthy())
    worst = findings(ROUTINE, mesh)[0]

    said = headline(mesh)

    assert worst.red
    assert said.startswith(f"Mesh prod needs attention: {worst.summary} (")
    assert said.endswith(" until its root certificate expires)")


def test_what_could_not_be_read_is_named_first() -> None:
    said = headline(unread(healthy()))

    assert said.startswith("Mesh prod could not be judged in full: 1 thing could not be read (")
