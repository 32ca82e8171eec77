"""The last door before the database: no private key and no Slack token is written.

Text of clusters and people that holds one is written without it: refusing the write would hold up
a rotation for somebody else's error message. Bytes with a key in them are a bug, and refused.
"""

from bot.core.secrecy import tells_a_secret, without_secrets
from bot.errors import StoreError


def withheld(document: object) -> object:
    """The same document of dicts, lists, tuples and text, without what must not be kept."""
    match document:
        case str():
            return without_secrets(document)
        case dict():
            return {key: withheld(item) for key, item in document.items()}
        case list() | tuple():
            return [withheld(item) for item in document]
        case _:
            return document


def refuse_secrets(value: object) -> None:
    """Look through a value built of text, bytes, dicts, lists and tuples.

    Raises:
        StoreError: something in it must never be stored; the message does not repeat it.
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
    if tells_a_secret(text):
        raise StoreError(
            "this would have written a private key or a Slack token into the record; nothing was written",
            hint="This is a bug: report it with what was being done.",
        )
