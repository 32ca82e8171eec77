"""The stand-in's bot may do what the shipped manifests grant: no more, else a missing grant shows nowhere."""

from pathlib import Path

import pytest
import yaml

from bot.sandbox.cluster.rbac import Rule, bot_rules, rules_of

MANIFESTS = Path(__file__).parents[2] / "manifests"

Grant = tuple[str, str, str, str, str]
"""(verb, API group, resource, namespace, name); empty for everywhere and for all names."""


def granted(rules: tuple[Rule, ...]) -> set[Grant]:
    return {
        (verb, group, resource, namespace, name)
        for rule in rules
        for verb in rule.verbs
        for group in rule.groups
        for resource in rule.resources
        for namespace in rule.namespaces or ("",)
        for name in rule.names or ("",)
    }


def shipped() -> tuple[Rule, ...]:
    documents = [each for path in MANIFESTS.rglob("*.yaml") for each in yaml.safe_load_all(path.read_text())]
    roles = [each for each in documents if each.get("kind") in ("Role", "ClusterRole")]
    return tuple(
        rule
        for role in roles
        for rule in rules_of(
            role["rules"], namespaces=tuple(filter(None, [role["metadata"].get("namespace")]))
        )
    )


def test_the_stand_ins_bot_has_the_rights_of_the_manifests() -> None:
    assert granted(bot_rules()) == granted(shipped())


@pytest.mark.parametrize("system", ["istio-system", "mesh"])
def test_it_writes_beside_the_control_plane_and_nowhere_else(system: str) -> None:
    writing = [each for each in bot_rules(system=system) if not {"get", "list", "create"} >= set(each.verbs)]

    assert {each.namespaces for each in writing} == {(system,)}
