"""A stand-in of Slack on one machine: Web API, Socket Mode, people, and a page to act as any of them.

Strict where Slack is strict, so that what works here works there. In the order of reading:

shapes, elements, blocks, limits   what Slack accepts to show, and its words for what it does not
registration, workspace            the app; the people, channels and groups
messages, views, forms             what was said; dialogs; what people put into them
throttle, faults                   rate limits; faults that a test orders
world                              all of the above in one place
calls, chat, people, dialogs, files, webapi   the Web API
response_urls, socket_mode         the two other ways between Slack and the app
payloads, pressing, outcomes, acting   what people do, and what the app is told of it
record, control, guard, server     the control API, the page and the server
running                            the same in a thread, for tests and `rootkeeper sandbox`
"""

from bot.sandbox.slack.errors import CannotAct, SlackError
from bot.sandbox.slack.faults import MethodFault
from bot.sandbox.slack.limits import check_attachments, check_blocks, check_view
from bot.sandbox.slack.outcomes import Outcome
from bot.sandbox.slack.registration import COMMANDS, SCOPES, Patience, SlashCommand
from bot.sandbox.slack.running import RunningSlack, running_slack
from bot.sandbox.slack.server import SlackStandIn
from bot.sandbox.slack.workspace import (
    ADA,
    APPROVERS,
    BOT,
    BOT_ID,
    DORA,
    GRACE,
    GUS,
    MESH_OPS,
    OTHER_TEAM,
    RANDOM,
    STEN,
    TEAM,
)

__all__ = [
    "ADA",
    "APPROVERS",
    "BOT",
    "BOT_ID",
    "COMMANDS",
    "DORA",
    "GRACE",
    "GUS",
    "MESH_OPS",
    "OTHER_TEAM",
    "RANDOM",
    "SCOPES",
    "STEN",
    "TEAM",
    "CannotAct",
    "MethodFault",
    "Outcome",
    "Patience",
    "RunningSlack",
    "SlackError",
    "SlackStandIn",
    "SlashCommand",
    "check_attachments",
    "check_blocks",
    "check_view",
    "running_slack",
]
