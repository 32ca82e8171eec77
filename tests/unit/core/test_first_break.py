"""What is told to end first, and what does not count."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.certificates import Certificate, read_bundle
from bot.core.mesh import LoadedCertificate, MeshSnapshot, NamespaceFacts, WorkloadSecret
from bot.core.reports import first_break
from tests.fakes.certificates import a_key, leaf_pem, root_pem
from tests.unit.hardcases.making import NOW
from tests.unit.hardcases.meshes import ending, healthy, signer_of

SOON = NOW + timedelta(days=2)
SOONER = f"ends at {SOON:%Y-%m-%d %H:%M:%S} UTC"


def told(mesh: MeshSnapshot) -> str:
    return first_break(mesh, signer_of(mesh))


def an_old_root() -> bytes:
    return root_pem(a_key(), not_before=NOW - timedelta(days=363), not_after=SOON)


def a_twin() -> bytes:
    """The root before an operator extended it by hand: same key, same subject."""
    return root_pem(a_key(), not_before=NOW - timedelta(days=363), not_after=SOON, serial=9)


def with_first_secret(mesh: MeshSnapshot, change: Callable[[WorkloadSecret], WorkloadSecret]) -> MeshSnapshot:
    first, *others = mesh.secrets
    return replace(mesh, secrets=(change(first), *others))


def holding_the_old_root(secret: WorkloadSecret) -> WorkloadSecret:
    return replace(secret, root=read_bundle(an_old_root()))


def test_where_everything_holds_one_root_it_is_the_cas() -> None:
    mesh = healthy()

    assert told(mesh) == f"the CA's root ends at {signer_of(mesh).not_after:%Y-%m-%d %H:%M:%S} UTC"


def test_what_has_ended_has_ended() -> None:
    assert told(ending(-1)).startswith("the CA's root ended at ")


def test_a_twin_of_the_root_in_the_ca_secret_breaks_what_picks_it() -> None:
    mesh = healthy()
    assert mesh.ca_secret is not None
    secret = replace(mesh.ca_secret, root=read_bundle(signer_of(mesh).pem + a_twin()))

    said = told(replace(mesh, ca_secret=secret))

    assert said == f"a certificate of the root's key in {secret.ref} {SOONER}"


def test_a_twin_of_the_root_in_a_workload_secret_breaks_what_picks_it() -> None:
    mesh = healthy()
    both = read_bundle(signer_of(mesh).pem + a_twin())

    said = told(with_first_secret(mesh, lambda secret: replace(secret, root=both)))

    assert said == f"the root in {mesh.secrets[0].ref} {SOONER}"


def test_a_proxy_with_one_context_of_an_old_root_breaks_when_that_ends() -> None:
    first, *others = healthy().proxies
    old = LoadedCertificate(serial=1, not_before=NOW - timedelta(days=300), not_after=SOON)
    mesh = replace(healthy(), proxies=(replace(first, roots=(*first.roots, old)), *others))

    assert told(mesh) == f"the root loaded by {first.pod.ref.namespace}/{first.pod.ref.name} {SOONER}"


def test_a_workload_secret_with_an_old_root_counts() -> None:
    mesh = with_first_secret(healthy(), holding_the_old_root)

    assert told(mesh) == f"the root in {mesh.secrets[0].ref} {SOONER}"


def orphaned(mesh: MeshSnapshot) -> MeshSnapshot:
    return with_first_secret(mesh, lambda s: replace(s, service_account="gone"))


def opted_out(mesh: MeshSnapshot) -> MeshSnapshot:
    place = mesh.secrets[0].ref.namespace

    def facts(of: NamespaceFacts) -> NamespaceFacts:
        return replace(of, override="false") if of.name == place else of

    return replace(mesh, namespaces=tuple(facts(each) for each in mesh.namespaces))


@pytest.mark.parametrize("left_alone", [orphaned, opted_out])
def test_a_workload_secret_that_nobody_keeps_does_not_count(
    left_alone: Callable[[MeshSnapshot], MeshSnapshot],
) -> None:
    mesh = left_alone(with_first_secret(healthy(), holding_the_old_root))

    assert told(mesh) == told(healthy())


def test_a_webhook_with_an_old_root_counts_unless_cert_manager_fills_it() -> None:
    first, *others = healthy().webhooks
    first = replace(first, root=read_bundle(an_old_root()))

    ours = replace(healthy(), webhooks=(first, *others))
    theirs = replace(healthy(), webhooks=(replace(first, injected=True), *others))

    assert told(ours) == f"the root in {first.ref} {SOONER}"
    assert told(theirs) == told(healthy())


def shown(*, since: int, days: int = 90) -> Certificate:
    root = signer_of(healthy())
    pem = leaf_pem(
        root.pem,
        a_key(),
        identity="ns/istio-system/sa/galley",
        not_before=NOW - timedelta(days=since),
        serial=9,
        lifetime=timedelta(days=days),
    )
    found = read_bundle(pem).first
    assert found is not None
    return found


def showing(leaf: Certificate, *, asked: bool = True) -> MeshSnapshot:
    first, *others = healthy().served
    return replace(healthy(), served=(replace(first, leaf=leaf, asked=asked), *others))


def test_a_webhook_server_that_did_not_load_its_renewed_certificate_breaks_when_the_old_one_ends() -> None:
    mesh = showing(shown(since=88))

    assert told(mesh) == f"the certificate that {mesh.served[0].pod} shows {SOONER}"


def test_a_served_certificate_that_will_be_renewed_in_time_does_not_count() -> None:
    assert told(showing(shown(since=30))) == told(healthy())


def test_what_is_shown_by_a_pod_that_gets_no_requests_does_not_count() -> None:
    assert told(showing(shown(since=88), asked=False)) == told(healthy())


def test_where_no_root_is_known_and_nothing_was_read_nothing_is_told() -> None:
    mesh = replace(healthy(), secrets=(), webhooks=(), served=(), proxies=())

    assert first_break(mesh, None) == ""
