"""What people can type, press and send: the names that cards, listeners and the manifest share."""

from dataclasses import dataclass
from enum import StrEnum

from bot.core.approval import Act
from bot.core.intent import Verb


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A slash command of the app."""

    name: str
    verb: Verb | None
    """The one verb that it stands for; None when the verb is typed."""
    description: str
    usage_hint: str


COMMANDS = (
    Command(
        name="/istio-root",
        verb=None,
        description="Check, rotate and verify a mesh's root certificate",
        usage_hint="check | transition | verify | status | history | cancel | help [mesh]",
    ),
    Command(
        name="/istio-check",
        verb=Verb.CHECK,
        description="How long does the root certificate last, and is anything wrong?",
        usage_hint="[mesh]",
    ),
    Command(
        name="/istio-transition",
        verb=Verb.TRANSITION,
        description="Ask for a root rotation; a second person approves it",
        usage_hint="[mesh] [lifetime=10y] [reason]",
    ),
    Command(
        name="/istio-verify",
        verb=Verb.VERIFY,
        description="Is the new root certificate everywhere?",
        usage_hint="[mesh]",
    ),
)


class Button(StrEnum):
    """The action ids on a rotation's card; each button's value is the rotation id and nothing else."""

    APPROVE = "approve"
    REJECT = "reject"
    CANCEL = "cancel"
    KEEP_WAITING = "keep_waiting"
    ROLL_BACK = "roll_back"
    END = "end_here"


ACTS = {
    Button.APPROVE: Act.APPROVE,
    Button.CANCEL: Act.CANCEL,
    Button.KEEP_WAITING: Act.KEEP_WAITING,
    Button.ROLL_BACK: Act.ROLL_BACK,
}
"""Buttons that decide at once; Reject asks for a reason first, End here shows what is missing first."""


class Dialog(StrEnum):
    """The callback ids of the dialogs."""

    TRANSITION = "transition"
    REJECTION = "rejection"
    ENDING = "ending"


class Field(StrEnum):
    """The inputs of the dialogs: block id and action id alike."""

    MESH = "mesh"
    LIFETIME = "lifetime"
    REASON = "reason"
