"""How names, numbers, dates and people are written in chat.

Everything that comes from clusters or people goes through `safe`, `quoted`, `code` or `plain`: invisible
and direction-changing characters out, one line, escaped, and only then cut. Slack has no escape for its
marks of bold, italic, strike and code, so those that would take hold give way to characters that look
alike. Source: facts/slack.md, 4.
"""

import re
from datetime import datetime, timedelta

from bot.core.ids import Fingerprint
from bot.core.progress import StepStatus
from bot.core.rotation import Person
from bot.core.wording import span, visible

_PART_OF_ENTITY = re.compile(r"(&[a-z]{0,3}|<[^>]*)$")
"""An entity or a mention that a cut went through."""
_OWN_MARKS = r"(?<!`)`[^`]+`(?!`)|(?<![\w*_~`])\*(?=\S)[^*_~`]+(?<=\S)\*(?![\w*_~`])"
"""`code` and *bold* that end within the text, as the bot's own sentences have them."""
_DEAD_MARKS = r"(?<=[A-Za-z0-9])(?P<mark>[*_~])(?P=mark)*(?=[A-Za-z0-9])|(?<= )[*_~](?= )"
"""Within a word (`istio_ca`) and between blanks (`0 9 * * 1`) a mark formats nothing."""
_IN_SENTENCES = re.compile(rf"(?P<kept>{_OWN_MARKS}|{_DEAD_MARKS})|[`*_~]+")
_IN_QUOTES = re.compile(rf"(?P<kept>{_DEAD_MARKS})|[`*_~]+")
_BLOCK_QUOTE = re.compile(r"^(?:&gt;)+")
"""Slack reads the escaped sign as a quote, too, at the beginning of a line."""
_LOOK_ALIKES = str.maketrans({"`": "'", "*": "\u2217", "_": "\u02cd", "~": "\u223c"})
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
    """For mrkdwn: escaped first, then cut, and never within an entity; no formatting goes on after its end.

    For the bot's own sentences with others' words in them: `code` and *bold* that are closed stay.
    """
    return _settled(_escaped(text, limit), _IN_SENTENCES)


def quoted(text: str, limit: int = 300) -> str:
    """What a person wrote, for mrkdwn: as `safe`, and nothing in it is formatted."""
    return _settled(_escaped(text, limit), _IN_QUOTES)


def _settled(escaped: str, marks: re.Pattern[str]) -> str:
    """After the cut, which may have taken one mark of a pair away."""
    inert = marks.sub(lambda m: m[0] if m["kept"] else m[0].translate(_LOOK_ALIKES), escaped)
    return _BLOCK_QUOTE.sub(lambda m: "\u203a" * m[0].count("&gt;"), inert)


def _escaped(text: str, limit: int) -> str:
    return cut(visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"), limit)


def cut(escaped: str, limit: int) -> str:
    """Escaped text of at most so many characters; an entity or mention is kept whole or left out."""
    if len(escaped) <= limit:
        return escaped
    return _PART_OF_ENTITY.sub("", escaped[: max(limit - 1, 0)]).rstrip() + "…"


def code(text: str, limit: int = 120) -> str:
    """A name, in code style: nothing in it is formatted."""
    return f"`{_escaped(text.replace('`', chr(39)), limit) or '—'}`"


def sentence(text: str, limit: int = 300) -> str:
    """Escaped, with a capital at its beginning and a full stop at its end."""
    said = safe(text, limit)
    if said.partition(" ")[0].isalpha():  # a name such as ca-cert.pem stays as it is
        said = said[0].upper() + said[1:]
    return said if not said or said[-1] in ".!?…:" else said + "."


def mention(person: Person) -> str:
    """A person: Slack shows the name they have now."""
    return f"<@{person.user}>" if _USER.match(person.user) else quoted(person.name, 80)


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
