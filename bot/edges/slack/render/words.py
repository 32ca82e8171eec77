"""How names, numbers, dates and people are written in chat.

Everything that comes from clusters or people goes through `safe`, `code` or `plain`: invisible and
direction-changing characters out, one line, escaped, and only then cut. Source: facts/slack.md, 4.
"""

import re
from datetime import datetime, timedelta

from bot.core.ids import Fingerprint
from bot.core.progress import StepStatus
from bot.core.rotation import Person
from bot.core.wording import span, visible

_PART_OF_ENTITY = re.compile(r"(&[a-z]{0,3}|<[^>]*)$")
"""An entity or a mention that a cut went through."""
_MOST_MENTIONED = 10
_USER = re.compile(r"^[UW][A-Z0-9]{2,20}$")
_GROUP = re.compile(r"^S[A-Z0-9]{2,20}$")

STATUS_MARK = {
    StepStatus.PENDING: "◻️",
    StepStatus.ACTING: "▶️",
    StepStatus.WAITING: "⏳",
    StepStatus.DONE: "✅",
    StepStatus.SKIPPED: "⏭️",
    StepStatus.FAILED: "❌",
}


def plain(text: str, limit: int) -> str:
    """For plain_text objects, which parse nothing; never empty, because Slack refuses that."""
    seen = visible(text)
    return (seen if len(seen) <= limit else seen[: limit - 1].rstrip() + "…") or "—"


def safe(text: str, limit: int = 300) -> str:
    """For mrkdwn: escaped first, then cut, and never within an entity."""
    return cut(visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"), limit)


def cut(escaped: str, limit: int) -> str:
    """Escaped text of at most so many characters; an entity or mention is kept whole or left out."""
    if len(escaped) <= limit:
        return escaped
    return _PART_OF_ENTITY.sub("", escaped[: max(limit - 1, 0)]).rstrip() + "…"


def code(text: str, limit: int = 120) -> str:
    """A name, in code style: nothing in it is formatted."""
    return f"`{safe(text.replace('`', chr(39)), limit) or '—'}`"


def sentence(text: str, limit: int = 300) -> str:
    """Escaped, with a capital at its beginning and a full stop at its end."""
    said = safe(text, limit)
    if said.partition(" ")[0].isalpha():  # a name such as ca-cert.pem stays as it is
        said = said[0].upper() + said[1:]
    return said if not said or said[-1] in ".!?…:" else said + "."


def mention(person: Person) -> str:
    """A person: Slack shows the name they have now."""
    return f"<@{person.user}>" if _USER.match(person.user) else safe(person.name, 80)


def mentions(people: tuple[Person, ...]) -> str:
    """People, the first ten by name."""
    named = ", ".join(mention(one) for one in people[:_MOST_MENTIONED])
    more = len(people) - _MOST_MENTIONED
    return f"{named} and {more} more" if more > 0 else named


def configured(ids: tuple[str, ...]) -> str:
    """Users and groups from the settings, as mentions."""
    return ", ".join(_mentioned(one) for one in ids)


def _mentioned(one: str) -> str:
    if _USER.match(one):
        return f"<@{one}>"
    return f"<!subteam^{one}>" if _GROUP.match(one) else code(one, 30)


def short(fingerprint: Fingerprint | str) -> str:
    """The first 16 characters of a fingerprint or digest."""
    return code(fingerprint[:16])


def moment(at: datetime) -> str:
    """A time in the reader's own zone, with a full fallback in UTC."""
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{utc(at)}>"


def date(at: datetime) -> str:
    """A date far away, in the reader's own zone."""
    return f"<!date^{int(at.timestamp())}^{{date_short}} {{time}}|{utc(at)}>"


def utc(at: datetime) -> str:
    """Date and time in UTC, for fallbacks and files."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def remaining(length: timedelta) -> str:
    """Time until something ends, or since it has."""
    return f"{span(length)} left" if length > timedelta() else f"ended {span(length)} ago"
