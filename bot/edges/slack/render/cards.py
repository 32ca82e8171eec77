"""The card of a rotation: one message, drawn from the record whenever it is delivered.

What is so, what it means, what to do next; then the facts an approver needs; then the buttons that
count now, and no others. Buttons carry the rotation id and nothing else.
"""

from bot.core.plan import Plan, StepKind
from bot.core.rotation import Rotation, RotationState
from bot.core.wording import count, span
from bot.edges.slack.render.blocks import Block, Rendered, context, fields, header, message, packed, section
from bot.edges.slack.render.buttons import buttons
from bot.edges.slack.render.decisions import decisions
from bot.edges.slack.render.lead import lead, title
from bot.edges.slack.render.steps import left_behind, planned_steps, undoing, walked_steps
from bot.edges.slack.render.words import (
    code,
    configured,
    date,
    mention,
    moment,
    quoted,
    remaining,
    safe,
    sentence,
    short,
)

S = RotationState
_NEVER_RAN = frozenset({S.REJECTED, S.EXPIRED, S.STALE, S.SUPERSEDED})
_MAX_NOTES = 5


def card(rotation: Rotation, *, approvers: tuple[str, ...]) -> Rendered:
    """The card as the rotation stands; `approvers` are the configured user and group ids."""
    said = lead(rotation)
    blocks: list[Block] = [header(title(rotation)), section(said), section(_request(rotation))]
    if rotation.state is S.PROPOSED:
        blocks += _for_the_approver(rotation)
    elif rotation.state not in _NEVER_RAN and rotation.started_at is not None:
        blocks += packed([*walked_steps(rotation), *left_behind(rotation)])
    blocks += [section(_roots(rotation.plan)), context(*_small_print(rotation, approvers))]
    said_first = safe(title(rotation), 200)
    return message(f"{said_first}. {_fallback(rotation)}", [*blocks, *buttons(rotation)])


def _fallback(rotation: Rotation) -> str:
    """For a notification: who and why; the title has said what."""
    why = f": “{quoted(rotation.reason, 200)}”" if rotation.reason else ""
    said = f"Asked by {quoted(rotation.requester.name, 80)}{why}."
    # Of one that a person ended before it ran, the outcome is what that person wrote.
    theirs = rotation.decisions and rotation.outcome == rotation.decisions[-1].note != ""
    outcome = f"“{quoted(rotation.outcome, 400)}”." if theirs else sentence(rotation.outcome, 400)
    return f"{outcome} {said}".strip()


def _request(rotation: Rotation) -> str:
    asked = f"*Asked by* {mention(rotation.requester)} {moment(rotation.created_at)}"
    reason = quoted(rotation.reason, 700)
    why = f"*Why:* “{reason}”" if reason else "*Why:* no reason was given"
    return "\n".join([asked, why, *decisions(rotation)])


def _for_the_approver(rotation: Rotation) -> list[Block]:
    plan = rotation.plan
    notes = [f"⚠️ {sentence(note)}" for note in plan.notes[:_MAX_NOTES]]
    if len(plan.notes) > _MAX_NOTES:
        notes.append(f"… and {len(plan.notes) - _MAX_NOTES} more notes in `rootkeeper plan`.")
    return [
        fields(_facts(plan)),
        *packed(["*What happens, one step at a time*", *planned_steps(plan)]),
        section(undoing(plan)),
        *packed(notes),
    ]


def _facts(plan: Plan) -> list[tuple[str, str]]:
    touched = plan.blast_radius
    secrets, proxies = count(touched.secrets, "secret"), count(touched.proxies, "proxy")
    return [
        ("Mesh", f"{code(plan.mesh, 60)} in namespace {code(plan.namespace, 60)}"),
        ("Cluster UID", code(plan.cluster_uid[:8])),
        ("What signs this mesh", safe(plan.authority)),
        ("Blast radius", f"{secrets}, {proxies}, {count(touched.namespaces, 'namespace')}"),
        ("Takes", f"about {span(plan.takes)}"),
        ("Restarts", _felt(plan)),
    ]


def _felt(plan: Plan) -> str:
    restarts = sum(1 for step in plan.steps if step.kind in (StepKind.RELOAD_CA, StepKind.RESTART))
    felt = sum(1 for step in plan.steps if step.felt)
    return f"{count(restarts, 'restart')}; {count(felt, 'step')} may be felt (⚡ below)"


def _roots(plan: Plan) -> str:
    old, new = plan.old_root, plan.new_root
    left = remaining(old.not_after - plan.created_at)
    lifetime = span(new.not_after - new.not_before)
    return "\n".join(
        [
            f"*Old root* {short(old.fingerprint)} {code(old.subject)}",
            f"↳ ends {date(old.not_after)} ({left} when this was planned)",
            f"*New root* {short(new.fingerprint)} same key, same subject",
            f"↳ valid {date(new.not_before)} to {date(new.not_after)} ({lifetime})",
            f"↳ serial {code(f'{new.serial:x}', 40)}",
        ]
    )


def _small_print(rotation: Rotation, approvers: tuple[str, ...]) -> list[str]:
    plan = f"Plan {short(rotation.digest)} · cluster {code(rotation.plan.cluster_uid[:8])} · "
    ids = f"{plan}rotation {code(rotation.id[:8])}"
    if rotation.state is not S.PROPOSED:
        return [ids]
    who = configured(approvers[:20]) or "*nobody*: the settings name no approvers"
    but_not = mention(rotation.requester)
    return [f"*Until* {moment(rotation.expires_at)} · *May approve:* {who}, but not {but_not}", ids]
