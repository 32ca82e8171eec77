"""The shapes of Slack's text objects and interactive elements, with their limits.

Source: docs.slack.dev/reference/block-kit, as gathered in facts/slack.md section 4. Elements that the
stand-in's page cannot show (user and channel pickers, time pickers, file inputs) are refused as
unsupported, so that nobody relies on them here unseen.
"""

from typing import Any

from bot.sandbox.slack.shapes import (
    Rule,
    boolean,
    both,
    choice,
    fault,
    fields,
    integer,
    items,
    listed,
    one_field_of,
    pattern,
    string,
    tagged,
)

IDENTIFIER = string(most=255)
URL = both(
    string(most=3000),
    pattern(r"(https?|mailto|slack|tel):\S+", "must be a valid URL"),
)
DATE = pattern(r"\d{4}-\d{2}-\d{2}", "must be a date: YYYY-MM-DD")
NUMBER_IN_TEXT = pattern(r"-?\d+(\.\d+)?", "must be a number in a string")


def plain_text(most: int) -> Rule:
    """A plain_text object and no other kind."""
    return tagged({"plain_text": _plain(most)})


def mrkdwn(most: int) -> Rule:
    """A mrkdwn object and no other kind."""
    return tagged({"mrkdwn": _mrkdwn(most)})


def any_text(most: int) -> Rule:
    """A plain_text or a mrkdwn object."""
    return tagged({"plain_text": _plain(most), "mrkdwn": _mrkdwn(most)})


def _plain(most: int) -> Rule:
    return fields({"text": string(most=most)}, {"emoji": boolean})


def _mrkdwn(most: int) -> Rule:
    return fields({"text": string(most=most)}, {"verbatim": boolean})


CONFIRM = fields(
    {"title": plain_text(100), "text": any_text(300), "confirm": plain_text(30), "deny": plain_text(30)},
    {"style": choice("primary", "danger")},
)
OPTION = fields({"text": plain_text(75), "value": string(most=150)}, {"description": plain_text(75)})
CHOICE_OPTION = fields({"text": any_text(75), "value": string(most=150)}, {"description": any_text(75)})
OVERFLOW_OPTION = fields(
    {"text": plain_text(75), "value": string(most=150)}, {"description": plain_text(75), "url": URL}
)
OPTION_GROUP = fields({"label": plain_text(75), "options": items(OPTION, most=100)})
DISPATCH = fields(
    {},
    {"trigger_actions_on": items(choice("on_enter_pressed", "on_character_entered"), most=2)},
)
SLACK_FILE = both(fields({}, {"id": string(most=255), "url": URL}), one_field_of("id", "url"))

COMMON = {"action_id": IDENTIFIER}
ASKING = {**COMMON, "placeholder": plain_text(150), "focus_on_load": boolean}


def _initial_is_an_option(value: Any, at: str, faults: list[str]) -> None:
    groups = [value, *(group for group in listed(value.get("option_groups")) if isinstance(group, dict))]
    offered = [option for group in groups for option in listed(group.get("options"))]
    chosen = [value.get("initial_option"), *listed(value.get("initial_options"))]
    if any(one is not None and one not in offered for one in chosen):
        faults.append(fault("initial option must exactly match a provided option", at))


def _lengths_agree(value: Any, at: str, faults: list[str]) -> None:
    least, most = value.get("min_length"), value.get("max_length")
    if isinstance(least, int) and isinstance(most, int) and least > most:
        faults.append(fault("min_length must be less than or equal to max_length", at))


BUTTON = fields(
    {"text": plain_text(75)},
    {
        **COMMON,
        "url": URL,
        "value": string(most=2000),
        "style": choice("primary", "danger"),
        "confirm": CONFIRM,
        "accessibility_label": string(most=75),
    },
)
STATIC_SELECT = both(
    fields(
        {},
        {
            **ASKING,
            "options": items(OPTION, most=100),
            "option_groups": items(OPTION_GROUP, most=100),
            "initial_option": OPTION,
            "confirm": CONFIRM,
        },
    ),
    one_field_of("options", "option_groups"),
    _initial_is_an_option,
)
RADIO_BUTTONS = both(
    fields(
        {"options": items(CHOICE_OPTION, most=10)},
        {**COMMON, "initial_option": CHOICE_OPTION, "confirm": CONFIRM, "focus_on_load": boolean},
    ),
    _initial_is_an_option,
)
CHECKBOXES = both(
    fields(
        {"options": items(CHOICE_OPTION, most=10)},
        {
            **COMMON,
            "initial_options": items(CHOICE_OPTION, most=10),
            "confirm": CONFIRM,
            "focus_on_load": boolean,
        },
    ),
    _initial_is_an_option,
)
OVERFLOW = fields({"options": items(OVERFLOW_OPTION, most=5)}, {**COMMON, "confirm": CONFIRM})
DATEPICKER = fields({}, {**ASKING, "initial_date": DATE, "confirm": CONFIRM})
PLAIN_TEXT_INPUT = both(
    fields(
        {},
        {
            **ASKING,
            "initial_value": string(most=3000, least=0),
            "multiline": boolean,
            "min_length": integer(least=0, most=3000),
            "max_length": integer(least=1, most=3000),
            "dispatch_action_config": DISPATCH,
        },
    ),
    _lengths_agree,
)
NUMBER_INPUT = fields(
    {"is_decimal_allowed": boolean},
    {
        **ASKING,
        "initial_value": NUMBER_IN_TEXT,
        "min_value": NUMBER_IN_TEXT,
        "max_value": NUMBER_IN_TEXT,
        "dispatch_action_config": DISPATCH,
    },
)
IMAGE_FIELDS = {"alt_text": string(most=2000)}
IMAGE_SOURCES = {"image_url": URL, "slack_file": SLACK_FILE}
IMAGE = both(fields(IMAGE_FIELDS, IMAGE_SOURCES), one_field_of("image_url", "slack_file"))

_PRESSABLE = {
    "button": BUTTON,
    "static_select": STATIC_SELECT,
    "radio_buttons": RADIO_BUTTONS,
    "checkboxes": CHECKBOXES,
    "overflow": OVERFLOW,
    "datepicker": DATEPICKER,
}
IN_ACTIONS = tagged(_PRESSABLE)
"""What may stand in an actions block."""
ACCESSORY = tagged({**_PRESSABLE, "image": IMAGE})
"""What may stand at the right of a section."""
IN_CONTEXT = tagged({"plain_text": _plain(3000), "mrkdwn": _mrkdwn(3000), "image": IMAGE})
"""What may stand in a context block."""
IN_INPUT = tagged(
    {
        "plain_text_input": PLAIN_TEXT_INPUT,
        "number_input": NUMBER_INPUT,
        "static_select": STATIC_SELECT,
        "radio_buttons": RADIO_BUTTONS,
        "checkboxes": CHECKBOXES,
        "datepicker": DATEPICKER,
    }
)
"""What may stand in an input block."""
