"""The buttons of a card: only those that count in the rotation's state."""

from typing import assert_never

from bot.core.approval import Act, acts_open_to
from bot.core.rotation import Rotation, RotationState
from bot.core.wording import span
from bot.edges.slack.doors import Button
from bot.edges.slack.render.blocks import Block, actions, button, confirmed
from bot.edges.slack.render.words import code, safe, short


def buttons(rotation: Rotation) -> list[Block]:
    """One row of buttons, or nothing when there is nothing to decide."""
    shown = _shown(rotation)
    return [actions(shown)] if shown else []


def _shown(rotation: Rotation) -> list[Block]:
    return [_button(act, rotation) for act in acts_open_to(rotation)]


def _button(act: Act, rotation: Rotation) -> Block:
    match act:
        case Act.APPROVE:
            return _approve(rotation)
        case Act.REJECT:
            return _reject(rotation)
        case Act.CANCEL:
            running = rotation.state is RotationState.RUNNING
            return _cancel(rotation, "Stop" if running else "Cancel")
        case Act.KEEP_WAITING:
            return _keep_waiting(rotation)
        case Act.ROLL_BACK:
            return _roll_back(rotation)
        case Act.END:
            return _end(rotation)
        case Act.LOOK | Act.REQUEST:
            raise ValueError(f"a {act} has no card")
        case _:
            assert_never(act)


def _approve(rotation: Rotation) -> Block:
    says = f"Approve the root rotation of {rotation.mesh}"
    pressed = button(Button.APPROVE, "Approve", value=rotation.id, says=says, style="primary")
    return confirmed(
        pressed,
        title=f"Rotate the root of {rotation.mesh}?",
        text=(
            f"Mesh {code(rotation.mesh, 60)}, cluster {code(rotation.plan.cluster_uid[:8])}, "
            f"plan {short(rotation.digest)}. It starts at once and takes about {span(rotation.plan.takes)}."
        ),
        yes="Approve and start",
        no="Not yet",
    )


def _reject(rotation: Rotation) -> Block:
    says = f"Reject the root rotation of {rotation.mesh}; asks for the reason"
    return button(Button.REJECT, "Reject…", value=rotation.id, says=says, style="danger")


def _cancel(rotation: Rotation, label: str) -> Block:
    says = f"{label}: root rotation of {rotation.mesh}"
    mesh = f"*{safe(rotation.mesh, 60)}*"
    ends = f"The root rotation of {mesh} ends. Nothing has been changed."
    stops = f"Nothing more is begun in {mesh}. If the root has been written, a person then decides how it goes on."
    pressed = button(Button.CANCEL, label, value=rotation.id, says=says)
    return confirmed(
        pressed,
        title=f"{label}?",
        text=stops if rotation.state is RotationState.RUNNING else ends,
        yes="Yes, stop it",
        no="Go on",
    )


def _keep_waiting(rotation: Rotation) -> Block:
    says = f"Keep waiting in the root rotation of {rotation.mesh}"
    return button(Button.KEEP_WAITING, "Keep waiting", value=rotation.id, says=says, style="primary")


def _roll_back(rotation: Rotation) -> Block:
    says = f"Roll back the root rotation of {rotation.mesh}"
    pressed = button(Button.ROLL_BACK, "Roll back", value=rotation.id, says=says, style="danger")
    return confirmed(
        pressed,
        title=f"Put the old root of {rotation.mesh} back?",
        text=(
            f"Cluster {code(rotation.plan.cluster_uid[:8])}: the old root "
            f"{short(rotation.plan.old_root.fingerprint)} is put back and the CA reloaded."
        ),
        yes="Roll back",
        no="Not yet",
    )


def _end(rotation: Rotation) -> Block:
    says = f"End here: the root rotation of {rotation.mesh}; shows first what is missing"
    return button(Button.END, "End here…", value=rotation.id, says=says)
