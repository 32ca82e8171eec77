"""What must not be repeated: private keys and Slack tokens in the text of clusters, people and servers.

The words alone are no secret: OpenSSL's `Expecting: ANY PRIVATE KEY` is an everyday error message.
"""

import re

_HEADING = (
    # A PEM heading, whole or with one end cut off, or the words with what follows a heading.
    r"BEGIN [A-Z0-9 ]{{0,20}}PRIVATE KEY|PRIVATE KEY-----|PRIVATE KEY[^A-Za-z0-9]{{1,20}}[A-Za-z0-9+/]{{{body}}}"
    # The words in base64, at each of its three alignments: how a Secret's data is quoted.
    r"|UFJJVkFURSBLRV|BSSVZBVEUgS0VZ|QUklWQVRFIEtFW"
)
_KEY = re.compile(_HEADING.format(body=40))
_SURELY_KEY = re.compile(_HEADING.format(body=52))
"""A dozen letters more, which the escapes of a document may add: what `without_secrets` has let through
must not look like a key in the text that is written."""
# Names of workloads may hold the letters of the second kind (`ricxapp-trafficxapp`); a token has a digit and
# capitals behind them. What stands before is no help: in quoted text that is the letter of an escape.
_TOKEN = re.compile(r"xox[abeprs]-[0-9A-Za-z-]{6,}|xapp-[0-9]-[A-Z][0-9A-Z]{5,}[0-9A-Za-z-]*")

KEY_WITHHELD = "(withheld: it held a private key)"
TOKEN_WITHHELD = "(a Slack token, withheld)"  # noqa: S105 - what stands in a token's place


def without_secrets(text: str) -> str:
    """The text as it may be kept and shown: all of it is withheld for a key, a token by itself."""
    return KEY_WITHHELD if _KEY.search(text) else _TOKEN.sub(TOKEN_WITHHELD, text)


def tells_a_secret(text: str) -> bool:
    """Whether a private key or a Slack token stands in it."""
    return bool(_SURELY_KEY.search(text) or _TOKEN.search(text))
