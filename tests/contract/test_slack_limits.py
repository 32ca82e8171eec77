"""The stand-in refuses what Slack refuses: tables of "payload → what is wrong with it".

The limits are those of docs.slack.dev as gathered in facts/slack.md section 4. slack_sdk's own validation
catches less than half of these payloads, which is why the stand-in has its own.
"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.sandbox.slack import check_attachments, check_blocks, check_view

Json = dict[str, Any]


def plain(text: str = "text") -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str = "text") -> Json:
    return {"type": "mrkdwn", "text": text}


def section(**fields: Any) -> Json:
    return {"type": "section", "text": mrkdwn(), **fields}


def button(**fields: Any) -> Json:
    return {"type": "button", "action_id": "go", "text": plain(), **fields}


def option(value: str = "one", **fields: Any) -> Json:
    return {"text": plain(value[:75]), "value": value, **fields}


def options(count: int) -> list[Json]:
    return [option(str(number)) for number in range(count)]


def element(kind: str, **fields: Any) -> Json:
    return {"type": kind, "action_id": "go", **fields}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def asking(inner: Json, **fields: Any) -> Json:
    return {"type": "input", "label": plain(), "element": inner, **fields}


def confirm(**fields: Any) -> Json:
    return {"title": plain(), "text": mrkdwn(), "confirm": plain(), "deny": plain(), **fields}


def table(*rows: list[Json], **fields: Any) -> Json:
    return {"type": "table", "rows": list(rows), **fields}


def cell(text: str = "x") -> Json:
    return {"type": "raw_text", "text": text}


def rich(*parts: Json) -> Json:
    return {"type": "rich_text", "elements": list(parts)}


def rich_section(*inner: Json) -> Json:
    return {"type": "rich_text_section", "elements": list(inner)}


def image(**fields: Any) -> Json:
    return {"type": "image", "image_url": "https://example.org/a.png", "alt_text": "a chart", **fields}


REFUSED_BLOCKS: list[tuple[str, list[Any], str]] = [
    ("51 blocks", [{"type": "divider"}] * 51, "no more than 50 items allowed [json-pointer:/blocks]"),
    ("a block that is a string", ["hello"], "must provide an object [json-pointer:/blocks/0]"),
    ("a block without a type", [{"text": mrkdwn()}], "missing required field: type [json-pointer:/blocks/0]"),
    ("an unknown block", [{"type": "sektion"}], "unsupported type: sektion [json-pointer:/blocks/0/type]"),
    ("a field that no block has", [section(colour="red")], "invalid additional property: colour"),
    ("a block_id of 256 characters", [section(block_id="b" * 256)], "must be less than 256 characters"),
    ("two blocks of one block_id", [section(block_id="b"), section(block_id="b")], "`block_id` b already"),
    (
        "a section with neither text nor fields",
        [{"type": "section"}],
        "must define either `text` or `fields`",
    ),
    (
        "a section's bare string",
        [section(text="hello")],
        "must provide an object [json-pointer:/blocks/0/text]",
    ),
    ("an empty text", [section(text=mrkdwn(""))], "must be more than 0 characters"),
    (
        "a section of 3,001 characters",
        [section(text=mrkdwn("x" * 3001))],
        "must be less than 3001 characters",
    ),
    ("eleven fields", [section(fields=[mrkdwn()] * 11)], "no more than 10 items allowed"),
    ("no fields in a list of fields", [section(fields=[])], "no fewer than 1 items required"),
    ("a field of 2,001 characters", [section(fields=[mrkdwn("x" * 2001)])], "must be less than 2001"),
    ("an unknown kind of text", [section(text={"type": "html", "text": "x"})], "unsupported type: html"),
    ("emoji in mrkdwn", [section(text={**mrkdwn(), "emoji": True})], "invalid additional property: emoji"),
    (
        "verbatim in plain text",
        [section(text={**plain(), "verbatim": True})],
        "additional property: verbatim",
    ),
    ("a number as text", [section(text=mrkdwn(7))], "must provide a string"),  # type: ignore[arg-type]
    ("expand as a string", [section(expand="true")], "must provide a boolean"),
    ("a header in mrkdwn", [{"type": "header", "text": mrkdwn()}], "unsupported type: mrkdwn"),
    ("a header of 151 characters", [{"type": "header", "text": plain("x" * 151)}], "must be less than 151"),
    ("a divider with text", [{"type": "divider", "text": plain()}], "invalid additional property: text"),
    (
        "eleven elements of context",
        [{"type": "context", "elements": [mrkdwn()] * 11}],
        "no more than 10 items",
    ),
    ("a button in context", [{"type": "context", "elements": [button()]}], "unsupported type: button"),
    ("actions without elements", [actions()], "no fewer than 1 items required"),
    (
        "26 buttons",
        [actions(*[button(action_id=str(n)) for n in range(26)])],
        "no more than 25 items allowed",
    ),
    ("two buttons of one action_id", [actions(button(), button())], "`action_id` go already exists"),
    ("an action_id of 256 characters", [actions(button(action_id="a" * 256))], "must be less than 256"),
    ("a button without text", [actions(element("button"))], "missing required field: text"),
    ("a button in mrkdwn", [actions(button(text=mrkdwn()))], "unsupported type: mrkdwn"),
    ("a button of 76 characters", [actions(button(text=plain("x" * 76)))], "must be less than 76 characters"),
    ("a button's value of 2,001 characters", [actions(button(value="v" * 2001))], "must be less than 2001"),
    ("a button's value that is an object", [actions(button(value={"id": 1}))], "must provide a string"),
    ("a button's style that is none", [actions(button(style="warning"))], "must be one of: primary, danger"),
    ("a button's url that is none", [actions(button(url="example"))], "must be a valid URL"),
    ("an accessibility label of 76", [actions(button(accessibility_label="x" * 76))], "must be less than 76"),
    ("a confirm without deny", [actions(button(confirm={"title": plain()}))], "missing required field: deny"),
    ("a confirm title of 101", [actions(button(confirm=confirm(title=plain("x" * 101))))], "less than 101"),
    ("a confirm text of 301", [actions(button(confirm=confirm(text=mrkdwn("x" * 301))))], "less than 301"),
    ("a confirm button of 31", [actions(button(confirm=confirm(confirm=plain("x" * 31))))], "less than 31"),
    ("a select without options", [actions(element("static_select"))], "must define either `options`"),
    (
        "a select of 101 options",
        [actions(element("static_select", options=options(101)))],
        "no more than 100",
    ),
    ("a select of no options", [actions(element("static_select", options=[]))], "no fewer than 1 items"),
    (
        "an option's value of 151",
        [actions(element("static_select", options=[option("x" * 151)]))],
        "than 151",
    ),
    ("an option's text of 76", [actions(element("overflow", options=[option(text=plain("x" * 76))]))], "76"),
    ("an option in mrkdwn", [actions(element("static_select", options=[option(text=mrkdwn())]))], "mrkdwn"),
    (
        "an initial option that is not offered",
        [actions(element("static_select", options=options(2), initial_option=option("9")))],
        "initial option must exactly match a provided option",
    ),
    (
        "an overflow of six",
        [actions(element("overflow", options=options(6)))],
        "no more than 5 items allowed",
    ),
    (
        "eleven radio buttons",
        [actions(element("radio_buttons", options=options(11)))],
        "no more than 10 items",
    ),
    ("a text input in actions", [actions(element("plain_text_input"))], "unsupported type: plain_text_input"),
    ("a user picker, which the page cannot show", [actions(element("users_select"))], "unsupported type"),
    ("a date that is none", [actions(element("datepicker", initial_date="1.12.2026"))], "must be a date"),
    ("an input without a label", [{"type": "input", "element": element("plain_text_input")}], "field: label"),
    ("a label of 2,001", [asking(element("plain_text_input"), label=plain("x" * 2001))], "less than 2001"),
    ("a button as input", [asking(button())], "unsupported type: button"),
    ("a placeholder of 151", [asking(element("plain_text_input", placeholder=plain("x" * 151)))], "than 151"),
    ("a max_length of 3,001", [asking(element("plain_text_input", max_length=3001))], "between 1 and 3000"),
    ("lengths crossed", [asking(element("plain_text_input", min_length=9, max_length=3))], "min_length must"),
    ("a number input without decimals said", [asking(element("number_input"))], "is_decimal_allowed"),
    (
        "a bound that is a number",
        [asking(element("number_input", is_decimal_allowed=False, min_value=1))],
        "in a",
    ),
    ("an image without alt_text", [{"type": "image", "image_url": "https://example.org"}], "field: alt_text"),
    ("an image from nowhere", [{"type": "image", "alt_text": "x"}], "must define either `image_url`"),
    ("an image's url of 3,001", [image(image_url="https://" + "x" * 2993)], "must be less than 3001"),
    ("two tables", [table([cell()]), table([cell()])], "only one table allowed [json-pointer:/blocks/1]"),
    ("101 rows", [table(*[[cell()]] * 101)], "no more than 100 items allowed"),
    ("21 columns", [table([cell()] * 21)], "no more than 20 items allowed"),
    ("rows of unlike length", [table([cell()], [cell(), cell()])], "same number of cells"),
    ("a table of 10,001 characters", [table([cell("x" * 5000), cell("x" * 5001)])], "less than 10001"),
    ("a cell that is a string", [table(["x"])], "must provide an object"),  # type: ignore[list-item]
    ("an empty rich text", [rich_section()], "unsupported type: rich_text_section"),
    ("rich text with an empty run", [rich(rich_section({"type": "text", "text": ""}))], "more than 0"),
    ("rich text with an unknown run", [rich(rich_section({"type": "blink"}))], "unsupported type: blink"),
    (
        "a list in an unknown style",
        [rich({"type": "rich_text_list", "style": "dash", "elements": []})],
        "bullet",
    ),
    ("markdown of 12,001", [{"type": "markdown", "text": "x" * 12_001}], "must be less than 12001"),
    ("markdown of 12,001 in two", [{"type": "markdown", "text": "x" * 6001}] * 2, "less than 12001"),
    ("an alert in a message", [{"type": "alert", "text": plain()}], "unsupported type: alert"),
    ("a plan, which the page cannot show", [{"type": "plan", "title": "x"}], "unsupported type: plan"),
]


@pytest.mark.parametrize(
    ("sentence", "blocks", "wrong"), REFUSED_BLOCKS, ids=[row[0] for row in REFUSED_BLOCKS]
)
def test_blocks_that_slack_refuses_are_refused_with_the_place(
    sentence: str, blocks: list[Any], wrong: str
) -> None:
    faults = check_blocks(blocks)

    assert any(wrong in one for one in faults), faults
    assert all("[json-pointer:/blocks" in one for one in faults)


TAKEN_BLOCKS: list[tuple[str, list[Json]]] = [
    ("nothing", []),
    ("50 blocks at their limits", [section(text=mrkdwn("x" * 3000), fields=[mrkdwn("y" * 2000)] * 10)] * 50),
    ("a button with everything", [actions(button(style="danger", value="v" * 2000, confirm=confirm()))]),
    (
        "buttons without action_id",
        [actions({"type": "button", "text": plain()}, {"type": "button", "text": plain()})],
    ),
    ("one action_id in two blocks", [actions(button()), actions(button())]),
    (
        "a select in groups",
        [actions(element("static_select", option_groups=[{"label": plain(), "options": options(3)}]))],
    ),
    ("radio buttons in mrkdwn", [asking(element("radio_buttons", options=[option(text=mrkdwn("*a*"))]))]),
    (
        "a table with its columns",
        [
            table(
                [cell()],
                [{"type": "raw_number", "value": 1, "text": "1"}],
                column_settings=[{"align": "right"}],
            )
        ],
    ),
    ("an image with a title", [image(title=plain())]),
    ("a section with an overflow", [section(accessory=element("overflow", options=options(5)))]),
    (
        "rich text of every kind",
        [
            rich(
                rich_section(
                    {"type": "user", "user_id": "U1"}, {"type": "date", "timestamp": 1, "format": "{date}"}
                ),
                {
                    "type": "rich_text_list",
                    "style": "ordered",
                    "elements": [rich_section({"type": "emoji", "name": "x"})],
                },
                {
                    "type": "rich_text_preformatted",
                    "elements": [{"type": "text", "text": "x", "style": {"bold": True}}],
                },
                {"type": "rich_text_quote", "elements": [{"type": "link", "url": "https://example.org"}]},
            ),
        ],
    ),
]


@pytest.mark.parametrize(("sentence", "blocks"), TAKEN_BLOCKS, ids=[row[0] for row in TAKEN_BLOCKS])
def test_blocks_that_slack_takes_are_taken(sentence: str, blocks: list[Json]) -> None:
    assert check_blocks(blocks) == []


def modal(**fields: Any) -> Json:
    return {"type": "modal", "title": plain(), "blocks": [section()], **fields}


REFUSED_VIEWS: list[tuple[str, Any, str]] = [
    ("no object", "modal", "must provide an object [json-pointer:/view]"),
    ("an unknown kind", modal(type="sheet"), "unsupported type: sheet [json-pointer:/view/type]"),
    ("no title", {"type": "modal", "blocks": []}, "missing required field: title [json-pointer:/view]"),
    ("no blocks", {"type": "modal", "title": plain()}, "missing required field: blocks [json-pointer:/view]"),
    ("a title of 25", modal(title=plain("x" * 25)), "must be less than 25 characters"),
    ("a title in mrkdwn", modal(title=mrkdwn()), "unsupported type: mrkdwn"),
    ("a submit of 25", modal(submit=plain("x" * 25)), "[json-pointer:/view/submit/text]"),
    ("a close of 25", modal(close=plain("x" * 25)), "[json-pointer:/view/close/text]"),
    (
        "inputs without submit",
        modal(blocks=[asking(element("plain_text_input"))]),
        "missing required field: submit",
    ),
    ("private_metadata of 3,001", modal(private_metadata="x" * 3001), "must be less than 3001"),
    ("a callback_id of 256", modal(callback_id="x" * 256), "must be less than 256"),
    ("101 blocks", modal(blocks=[{"type": "divider"}] * 101), "no more than 100 items allowed"),
    (
        "a table",
        modal(blocks=[table([cell()])]),
        "unsupported type: table [json-pointer:/view/blocks/0/type]",
    ),
    ("an unknown field", modal(size="large"), "invalid additional property: size"),
    ("an alert of 201", modal(blocks=[{"type": "alert", "text": plain("x" * 201)}]), "must be less than 201"),
]


@pytest.mark.parametrize(("sentence", "view", "wrong"), REFUSED_VIEWS, ids=[row[0] for row in REFUSED_VIEWS])
def test_dialogs_that_slack_refuses_are_refused(sentence: str, view: Any, wrong: str) -> None:
    faults = check_view(view)

    assert any(wrong in one for one in faults), faults


def test_a_home_tab_takes_blocks_and_no_title() -> None:
    home = {"type": "home", "blocks": [section(), table([cell()])]}

    assert check_view(home, home=True) == []
    assert check_view({**home, "title": plain()}, home=True) == [
        "invalid additional property: title [json-pointer:/view]"
    ]


REFUSED_ATTACHMENTS: list[tuple[str, Any, str]] = [
    ("no list", {"color": "#fff"}, "must provide an array [json-pointer:/attachments]"),
    ("101 of them", [{"text": "x"}] * 101, "no more than 100 items allowed"),
    ("an unknown field", [{"id": 1}], "invalid additional property: id [json-pointer:/attachments/0]"),
    ("a wrong block inside", [{"blocks": [{"type": "header"}]}], "[json-pointer:/attachments/0/blocks/0]"),
]


@pytest.mark.parametrize(
    ("sentence", "attachments", "wrong"), REFUSED_ATTACHMENTS, ids=[row[0] for row in REFUSED_ATTACHMENTS]
)
def test_attachments_that_slack_refuses_are_refused(sentence: str, attachments: Any, wrong: str) -> None:
    faults = check_attachments(attachments)

    assert any(wrong in one for one in faults), faults


_KEYS = st.sampled_from(
    ["type", "text", "elements", "options", "rows", "fields", "element", "confirm", "blocks"]
)
_TYPES = st.sampled_from(
    ["section", "actions", "static_select", "table", "rich_text", "input", "plain_text", "modal"]
)
_LEAVES = st.none() | st.booleans() | st.integers() | _TYPES
_ANYTHING = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4)
)


@settings(derandomize=True, database=None)
@given(_ANYTHING)
def test_no_json_whatever_makes_the_validator_fail(value: Any) -> None:
    check_blocks(value)
    check_attachments(value)
    check_view(value)
