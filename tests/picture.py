"""Takes the README's pictures from the running sandbox: `make picture`."""

from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

from bot.sandbox import drive
from bot.sandbox.drive import Story
from bot.sandbox.run import MESH, running_sandbox
from tests.browser import FLAGS, chromium

DOCS = Path(__file__).parents[1] / "docs"
WHOLE_CARD: ViewportSize = {"width": 1180, "height": 1440}
WITH_THREAD: ViewportSize = {"width": 1180, "height": 1300}


def main() -> None:
    """Play the story with a browser watching."""
    with running_sandbox() as sandbox, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page(viewport=WHOLE_CARD, device_scale_factor=1)
        page.goto(f"{sandbox.slack.url}/?as=grace")
        story = Story(slack=sandbox.slack, cluster=sandbox.cluster, mesh=MESH, say=print)
        drive.transition(story)
        _take(page, "approval.png", text="Approve")
        drive.approve(story)
        story.seen(
            lambda m: m.thread_ts == story.card and "step 5" in m.content.text, what="step 5", seconds=90
        )
        page.set_viewport_size(WITH_THREAD)
        page.get_by_role("button", name="replies").last.click()
        _take(page, "thread.png", text="step 5 of")
        drive.rotate(story)
        browser.close()


def _take(page: Page, name: str, *, text: str) -> None:
    page.get_by_text(text).last.scroll_into_view_if_needed()
    page.screenshot(path=DOCS / name)


if __name__ == "__main__":
    main()
