"""The two dialogs. What they carry along says where to answer, never who may do what."""

import json
from collections.abc import Sequence
from datetime import timedelta

from bot.core.ids import MeshName, RotationId
from bot.core.intent import MAX_LIFETIME, MAX_REASON
from bot.core.plan import Mode
from bot.edges.slack.doors import Dialog, Field
from bot.edges.slack.render.blocks import Block, plain_text, section
from bot.edges.slack.render.words import code, plain, span

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
            section("This request ends, and nothing is changed. Your reason is shown on the card."),
            _reason("Why not?", plain("not during the freeze; ask again on Monday", 150)),
        ],
    }
