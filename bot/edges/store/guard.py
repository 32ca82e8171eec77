"""The last door before the database: text with a private key or a Slack token is not written.

Nothing upstream should ever hold such text; when it does after all (an error message that quotes
a Secret, a token pasted as a reason), losing the write is the lesser harm.
"""

import re

from bot.errors import StoreError

_SECRET = re.compile(
    r"PRIVATE KEY"
    # The same words in base64, at each of its three alignments: how a Secret's data is quoted.
    r"|UFJJVkFURSBLRV|BSSVZBVEUgS0VZ|QUklWQVRFIEtFW"
    # Slack's tokens; the bare prefix alone, as in a hint, is no token.
    r"|xox[abeprs]-[0-9A-Za-z-]{6,}|xapp-[0-9A-Za-z-]{6,}"
)


def refuse_secrets(value: object) -> None:
    """Look through a value built of text, bytes, dicts, lists and tuples.

    Raises:
        StoreError: some text in it must never be stored; the message does not repeat it.
    """
    match value:
        case str():
            _refuse_text(value)
        case bytes():
            _refuse_text(value.decode("latin-1"))
        case dict():
            for key, item in value.items():
                refuse_secrets(key)
                refuse_secrets(item)
        case list() | tuple():
            for item in value:
                refuse_secrets(item)


def _refuse_text(text: str) -> None:
    if _SECRET.search(text):
        raise StoreError(
            "this would have written a private key or a Slack token into the record; nothing was written",
            hint="If somebody typed it, revoke that token and ask again without it; otherwise report a bug.",
        )
