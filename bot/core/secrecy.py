"""What must not be repeated: private keys and Slack tokens in the text of clusters, people and servers.

The words alone are no secret: OpenSSL's `Expecting: ANY PRIVATE KEY` is an everyday error message.
"""

import re

_KEY = re.compile(
    # A PEM heading, whole or with one end cut off, or the words with what follows a heading.
    r"BEGIN [A-Z0-9 ]*PRIVATE KEY|PRIVATE KEY-----|PRIVATE KEY[^A-Za-z0-9]{1,20}[A-Za-z0-9+/]{40}"
    # The words in base64, at each of its three alignments: how a Secret's data is quoted.
    r"|UFJJVkFURSBLRV|BSSVZBVEUgS0VZ|QUklWQVRFIEtFW"
)
_TOKEN = re.compile(r"xox[abeprs]-[0-9A-Za-z-]{6,}|xapp-[0-9A-Za-z-]{6,}")

KEY_WITHHELD = "(withheld: it held a private key)"
TOKEN_WITHHELD = "(a Slack token, withheld)"  # noqa: S105 - what stands in a token's place


def without_secrets(text: str) -> str:
    """The text as it may be kept and shown: all of it is withheld for a key, a token by itself."""
    return KEY_WITHHELD if _KEY.search(text) else _TOKEN.sub(TOKEN_WITHHELD, text)


def tells_a_secret(text: str) -> bool:
    """Whether a private key or a Slack token stands in it."""
    return bool(_KEY.search(text) or _TOKEN.search(text))
