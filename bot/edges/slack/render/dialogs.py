"""The dialogs. What they carry along says where to answer, never who may do what."""

import json
from collections.abc import Sequence
from datetime import timedelta

from bot.core.ids import MeshName, RotationId
from bot.core.intent import MAX_LIFETIME, MAX_REASON
from bot.core.plan import Mode
from bot.core.replies import EndOffered, Reply
from bot.core.wording import span
from bot.edges.slack.doors import Dialog, Field
from bot.edges.slack.render.blocks import Block, packed, plain_text, section
from bot.edges.slack.render.replies import reply_shown
from bot.edges.slack.render.steps import straggler_line
from bot.edges.slack.render.words import code, date, plain, safe, sentence

_YEAR = timedelta(days=365)
_LIFETIMES = (1, 2, 5, 10, 20)
_MODES = {Mode.EXTEND: "*Mode:* extend. Same key, new validity: nothing has to trust a new key."}
_MAX_OPTIONS = 100


def transition_dialog(meshes: Sequence[MeshName], *, lifetime: timedelta, channel: str) -> Block:
    """Ask for the details of a rotation; with one mesh there is no choice of mesh."""
    only = meshes[0] if len(meshes) == 1 else ""
    what = f"A new root certificate for {code(only, 60)}. " if only else ""
    said = (
        f"{what}Rootkeeper looks at the mesh, makes a plan and posts it here. "
        "*Nothing is changed until somebody else approves the plan.*"
    )
    return {
        "type": "modal",
        "callback_id": Dialog.TRANSITION,
        "private_metadata": json.dumps({"mesh": only, "channel": channel}),
        "title": plain_text("New root certificate", 24),
        "submit": plain_text("Make the plan", 24),
        "close": plain_text("Not now", 24),
        "blocks": [
            section(said),
            section(_MODES[Mode.EXTEND]),
            *([] if only else [_mesh_choice(meshes)]),
            _lifetime_choice(lifetime),
            _reason("Why now? The approver reads this.", "root ends in 12 days; INC-4711"),
        ],
    }


def _mesh_choice(meshes: Sequence[MeshName]) -> Block:
    options = [_option(mesh, mesh) for mesh in meshes[:_MAX_OPTIONS] if len(mesh) <= 75]
    element = {
        "type": "static_select",
        "action_id": Field.MESH,
        "placeholder": plain_text("Which mesh?", 150),
        "options": options,
    }
    return _input(Field.MESH, "Mesh", element)


def _lifetime_choice(default: timedelta) -> Block:
    lifetimes = sorted({default, *(years * _YEAR for years in _LIFETIMES)})
    options = {one: _option(span(one), f"{one.days}d") for one in lifetimes if one <= MAX_LIFETIME}
    element = {
        "type": "static_select",
        "action_id": Field.LIFETIME,
        "options": list(options.values()),
        "initial_option": options.get(default, options[10 * _YEAR]),
    }
    return _input(Field.LIFETIME, "The new root lasts", element)


def _option(text: str, value: str) -> Block:
    return {"text": plain_text(text, 75), "value": value}


def _reason(label: str, placeholder: str) -> Block:
    element = {
        "type": "plain_text_input",
        "action_id": Field.REASON,
        "multiline": True,
        "min_length": 3,
        "max_length": MAX_REASON,
        "placeholder": plain_text(placeholder, 150),
    }
    return _input(Field.REASON, label, element)


def _input(field: Field, label: str, element: Block) -> Block:
    return {"type": "input", "block_id": field, "label": plain_text(label, 2000), "element": element}


def rejection_dialog(rotation_id: RotationId, *, channel: str) -> Block:
    """Ask for the reason of a rejection."""
    return {
        "type": "modal",
        "callback_id": Dialog.REJECTION,
        "private_metadata": json.dumps({"rotation": rotation_id, "channel": channel}),
        "title": plain_text("Reject the rotation", 24),
        "submit": plain_text("Reject", 24),
        "close": plain_text("Not now", 24),
        "blocks": [
            section(
                "This request ends, and nothing is changed. Your reason is shown on the card. "
                "Your own request is not rejected but cancelled: the button is beside this one."
            ),
            _reason("Why not?", plain("not during the freeze; ask again on Monday", 150)),
        ],
    }


def ending_looked_for() -> Block:
    """While the mesh is looked at: nothing to send yet."""
    said = "Looking at the mesh, to show what ending here would leave. In a large mesh that takes a while."
    return _only_shown(section(said))


def _only_shown(*blocks: Block) -> Block:
    return {
        "type": "modal",
        "callback_id": Dialog.ENDING,
        "title": plain_text("End it here?", 24),
        "close": plain_text("Close", 24),
        "blocks": list(blocks),
    }


def answered_in_dialog(reply: Reply, *, channel: str) -> Block:
    """The answer in the dialog in which it is awaited: the question to confirm, or just the words."""
    if isinstance(reply, EndOffered):
        return _ending_dialog(reply, channel=channel)
    return _only_shown(*reply_shown(reply).blocks)


def _ending_dialog(offer: EndOffered, *, channel: str) -> Block:
    """Everything that the confirmation is for; it is looked at once more when it is sent."""
    carried = {"rotation": offer.rotation_id, "channel": channel, "shown": offer.shown}
    return _only_shown(
        section(
            f"The rotation of *{safe(offer.mesh, 60)}* (cluster {code(offer.cluster_uid[:8])}) ends here and "
            f"is *not green*. Nothing in the mesh is changed by that."
        ),
        *packed(_left(offer)),
        section(_meaning(offer)),
        _reason("Why now? It stays on record.", "shop/cart waits for a node until Monday"),
    ) | {
        "private_metadata": json.dumps(carried),
        "submit": plain_text("End here", 24),
        "close": plain_text("Not now", 24),
    }


def _left(offer: EndOffered) -> list[str]:
    if offer.why:
        return [f"*It can go neither on nor back:* {sentence(offer.why, 600)}"]
    lines = [f"• {straggler_line(one, 240)}" for one in offer.stragglers]
    more = offer.total - len(lines)
    lines += [f"… and {more:,} more; the thread gets all of them as a file"] if more > 0 else []
    return [f"*{sentence(offer.share)}*", *lines]


def _meaning(offer: EndOffered) -> str:
    until = date(offer.old_root_ends)
    if offer.why:
        return "Look at the mesh afterwards: a verification says what holds which root."
    if offer.backwards:
        return (
            f"Citadel signs with the old root again. It ends {until}: ask for a new transition before that."
        )
    return (
        f"Citadel signs with the new root. What is named may hold only the old one, which ends {until}: "
        "mend or restart it before that."
    )
