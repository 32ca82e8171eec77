"""The machine's own Chromium, for the tests that look at the sandbox's page and for its pictures."""

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""Nothing is asked of the network; without a sandbox because CI is root."""


def chromium() -> str | None:
    """Where it is: $CHROMIUM, or the first of the usual names; None when there is none."""
    return next(
        (path for name in (os.environ.get("CHROMIUM"), *NAMES) if name and (path := shutil.which(name))), None
    )
