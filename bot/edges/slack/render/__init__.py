"""The only sentences for chat: what happened → text and blocks. Pure functions, pinned by golden files."""

from typing import assert_never

from bot.core.record import (
    Alarm,
    Card,
    CheckCouldNotRun,
    Content,
    DailyLine,
    Milestone,
    ReportPosted,
    RequestFailed,
    Result,
    StragglerFile,
    Warned,
)
from bot.core.rotation import Rotation
from bot.edges.slack.render.blocks import Rendered
from bot.edges.slack.render.cards import card
from bot.edges.slack.render.replies import reply_shown
from bot.edges.slack.render.reports import alarm, asked_for, could_not_run, daily, warned
from bot.edges.slack.render.thread import file_in_words, milestone, request_failed, result

__all__ = ["Rendered", "render", "reply_shown"]


def render(  # noqa: C901  (one line for each kind of content)
    content: Content, *, rotation: Rotation | None = None, approvers: tuple[str, ...] = ()
) -> Rendered:
    """Any message. A Card needs its rotation; `approvers` are the configured ids, shown on the card.

    A StragglerFile is rendered as the words that stand in for the file when Slack refuses it.
    """
    match content:
        case Card():
            if rotation is None:
                raise ValueError("a card is drawn from its rotation")
            return card(rotation, approvers=approvers)
        case Milestone():
            return milestone(content, rotation)
        case Result():
            return result(content, rotation)
        case ReportPosted():
            return asked_for(content)
        case Warned():
            return warned(content)
        case DailyLine():
            return daily(content)
        case Alarm():
            return alarm(content)
        case CheckCouldNotRun():
            return could_not_run(content)
        case RequestFailed():
            return request_failed(content)
        case StragglerFile():
            return file_in_words(content)
        case _:
            assert_never(content)
