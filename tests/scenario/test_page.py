"""The sandbox's page in a real browser: two people carry a request through, and text stays text.

Playwright drives the machine's own Chromium; a small slack-bolt app plays the bot. Nothing sleeps:
Playwright waits for what it looks for.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from bot.edges.slack.render.words import quoted
from bot.sandbox.slack import ADA, GRACE, MESH_OPS, RunningSlack, running_slack
from tests.browser import FLAGS, chromium

Json = dict[str, Any]
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


SURE = {
    "title": plain("Approve it?"),
    "text": mrkdwn("*prod-eu*"),
    "confirm": plain("Yes"),
    "deny": plain("No"),
}
FORM = {
    "type": "modal",
    "callback_id": "why",
    "title": plain("New root"),
    "submit": plain("Ask"),
    "blocks": [
        {
            "type": "input",
            "block_id": "mode",
            "label": plain("Mode"),
            "element": {
                "type": "radio_buttons",
                "action_id": "m",
                "options": [
                    {"text": plain("Extend"), "value": "extend"},
                    {"text": plain("Renew"), "value": "renew"},
                ],
            },
        },
        {
            "type": "input",
            "block_id": "reason",
            "label": plain("Reason"),
            "element": {"type": "plain_text_input", "action_id": "text"},
        },
    ],
}


def card(*, mode: str, reason: str, decision: str | None = None) -> list[Json]:
    button = {"type": "button", "action_id": "approve", "text": plain("Approve"), "value": "r1"}
    blocks: list[Json] = [
        {"type": "header", "text": plain("Approval needed")},
        {"type": "section", "fields": [mrkdwn(f"*Mode*\n{mode}"), mrkdwn(f"*Asked by*\n<@{ADA}>")]},
        {"type": "section", "text": plain(reason)},
    ]
    if decision:
        return [*blocks, {"type": "section", "text": mrkdwn(decision)}]
    return [*blocks, {"type": "actions", "elements": [{**button, "style": "primary", "confirm": SURE}]}]


def bolt_app(client: WebClient, executor: ThreadPoolExecutor) -> App:
    app = App(client=client, listener_executor=executor, token_verification_enabled=False)
    asked: Json = {}

    @app.command("/istio-root")
    def _command(ack: Any, body: Json) -> None:
        ack()
        client.views_open(trigger_id=body["trigger_id"], view=FORM)

    @app.view("why")
    def _submitted(ack: Any, view: Json) -> None:
        values = view["state"]["values"]
        reason = values["reason"]["text"]["value"]
        if len(reason) < 5:
            ack(response_action="errors", errors={"reason": "Say a little more."})
            return
        ack()
        asked.update(mode=values["mode"]["m"]["selected_option"]["value"], reason=reason)
        posted = client.chat_postMessage(channel=MESH_OPS, text="Approval needed", blocks=card(**asked))
        client.chat_postMessage(channel=MESH_OPS, text="Waiting for a second person", thread_ts=posted["ts"])

    @app.action("approve")
    def _pressed(ack: Any, body: Json) -> None:
        ack()
        user, ts = body["user"]["id"], body["message"]["ts"]
        if user == ADA:
            client.chat_postEphemeral(
                channel=MESH_OPS, user=user, text="You asked: somebody else must approve."
            )
            return
        decided = card(**asked, decision=f":white_check_mark: Approved by <@{user}>")
        client.chat_update(channel=MESH_OPS, ts=ts, text="Approved", blocks=decided)
        client.files_upload_v2(
            channel=MESH_OPS, thread_ts=ts, filename="plan.txt", content="1. back up", title="Plan"
        )

    return app


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        reason = "no Chromium found: install it or set CHROMIUM"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def slack() -> Iterator[RunningSlack]:
    with running_slack() as running:
        yield running


@pytest.fixture
def client(slack: RunningSlack) -> WebClient:
    return WebClient(token=slack.bot_token, base_url=slack.api_url)


@pytest.fixture
def app(slack: RunningSlack, client: WebClient) -> Iterator[None]:
    with ThreadPoolExecutor(5) as executor:
        handler = SocketModeHandler(bolt_app(client, executor), slack.app_token, ping_interval=3)
        handler.connect()  # type: ignore[no-untyped-call]
        slack.wait_for_connections()
        yield
        handler.close()  # type: ignore[no-untyped-call]


@pytest.fixture
def page(browser: Browser, slack: RunningSlack) -> Iterator[Page]:
    """The page as Ada sees it; an error on its console fails the test."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-GB", timezone_id="UTC")
    complaints: list[str] = []
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.goto(slack.url)
    expect(tab.get_by_role("heading", name="# mesh-ops")).to_be_visible()
    yield tab
    tab.close()
    assert complaints == []


def line(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Message or command")


def log(page: Page) -> Locator:
    return page.get_by_role("log", name="Messages")


def become(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name).check(force=True)  # the radio itself is drawn as its label


def ask(page: Page, *, reason: str) -> None:
    line(page).fill("/istio-root transition")
    line(page).press("Enter")
    page.get_by_role("radio", name="Renew").check()
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name="Ask").click()


def approve(page: Page, answer: str) -> None:
    log(page).get_by_role("button", name="Approve").click()
    page.get_by_role("dialog", name="Approve it?").get_by_role("button", name=answer).click()


@pytest.mark.usefixtures("app")
def test_two_people_carry_a_request_through(page: Page, slack: RunningSlack) -> None:
    ask(page, reason="no")
    dialog = page.get_by_role("dialog", name="New root")
    expect(dialog.get_by_role("alert")).to_have_text("Say a little more.")
    expect(dialog.get_by_role("radio", name="Renew")).to_be_checked()
    page.get_by_label("Reason").fill("It expires in 12 days")
    page.get_by_role("button", name="Ask").click()
    expect(dialog).to_be_hidden()
    expect(log(page)).to_contain_text("Asked by@ada")

    approve(page, "Yes")
    expect(log(page)).to_contain_text("Only visible to youRootkeeper")
    expect(log(page)).to_contain_text("You asked: somebody else must approve.")

    become(page, "Grace")
    expect(log(page)).not_to_contain_text("You asked")
    approve(page, "No")
    expect(log(page).get_by_role("button", name="Approve")).to_be_visible()
    approve(page, "Yes")
    expect(log(page)).to_contain_text("✅ Approved by @grace")
    expect(log(page).get_by_role("button", name="Approve")).to_have_count(0)

    log(page).get_by_role("button", name="2 replies").click()
    replies = page.get_by_role("log", name="Replies")
    expect(replies).to_contain_text("Waiting for a second person")
    replies.get_by_text("Preview").click()
    expect(replies.locator("pre")).to_have_text("1. back up")
    with page.expect_download() as download:
        replies.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "plan.txt"

    page.keyboard.press("Escape")
    expect(replies).to_be_hidden()
    presses = [one for one in slack.record()["deliveries"] if one["payload"].get("type") == "block_actions"]
    assert [one["payload"]["user"]["id"] for one in presses] == [ADA, GRACE]


@pytest.mark.usefixtures("app")
def test_everything_works_from_the_keyboard(page: Page) -> None:
    line(page).focus()
    page.keyboard.type("/istio-r")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Tab")
    expect(line(page)).to_have_value("/istio-root ")
    page.keyboard.type("tr")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(line(page)).to_have_value("/istio-root transition ")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="New root")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()

    ask(page, reason="It expires")
    log(page).get_by_role("button", name="Approve").press("Enter")
    expect(page.get_by_role("dialog", name="Approve it?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Approve it?")).to_be_hidden()


def test_text_from_anywhere_stays_text(page: Page, client: WebClient) -> None:
    blocks: list[Json] = [
        {"type": "header", "text": plain(HOSTILE[:150])},
        {"type": "section", "text": mrkdwn(HOSTILE), "fields": [plain(HOSTILE)]},
        {"type": "section", "text": mrkdwn("<javascript:alert(1)|press> `<b>` &lt;i&gt;")},
        {"type": "table", "rows": [[{"type": "raw_text", "text": HOSTILE}]]},
    ]
    client.chat_postMessage(channel=MESH_OPS, text=HOSTILE, blocks=blocks)
    client.chat_postMessage(channel=MESH_OPS, text=HOSTILE)

    expect(log(page).locator("article")).to_have_count(2)
    expect(log(page)).to_contain_text("<javascript:alert(1)|press> <b> <i>")
    expect(log(page).locator("img, script, iframe, a")).to_have_count(0)
    expect(page).to_have_title("Rootkeeper sandbox")


@pytest.mark.parametrize("written", ["``` a", "`a", "*a", "_a", "~a", "> a", "a* *", "*b* `c` ~d~ _e_"])
def test_what_people_write_formats_nothing_of_it_and_nothing_after_it(
    page: Page, client: WebClient, written: str
) -> None:
    text = f"{quoted(written)}\n*Why:* “{quoted(written)}” *Rejected* by `x` _now_ ~then~ ```fence```"

    client.chat_postMessage(channel=MESH_OPS, text=text)

    formatted = log(page).locator("strong, em, s, code, pre, blockquote")
    expect(formatted).to_have_text(["Rootkeeper", "Why:", "Rejected", "x", "now", "then", "fence"])


def test_slacks_formats_are_shown(page: Page, client: WebClient) -> None:
    client.chat_postMessage(
        channel=MESH_OPS,
        text=(
            "*bold* _italic_ ~gone~ `code` :warning: snake_case_name 2*3*4\n"
            "• one\n&gt; quoted\n```block\n```\n<https://example.org|site> <#C0RANDOM01> <!here> "
            "<!date^1800000000^{date_short} {time}|then>"
        ),
        attachments=[{"color": "#b3261e", "blocks": [{"type": "section", "text": mrkdwn("inside")}]}],
    )

    message = log(page).locator("article")
    for tag, text in (
        ("strong", "bold"),
        ("em", "italic"),
        ("s", "gone"),
        ("code", "code"),
        ("pre", "block"),
    ):
        expect(message.locator(f".said {tag}")).to_have_text(text)
    expect(message.locator("blockquote")).to_have_text("quoted")
    expect(message.get_by_role("link", name="site")).to_have_attribute("rel", "noopener noreferrer")
    expect(message).to_contain_text("⚠️ snake_case_name 2*3*4")
    expect(message).to_contain_text("#random @here 15 Jan 2027 08:00")
    expect(message.locator(".attachment")).to_have_css("border-left-color", "rgb(179, 38, 30)")


def test_an_edit_shows_at_once_and_leaves_the_rest_alone(page: Page, client: WebClient) -> None:
    ts = client.chat_postMessage(channel=MESH_OPS, text="before")["ts"]
    client.chat_postMessage(channel=MESH_OPS, text="neighbour")
    expect(log(page)).to_contain_text("neighbour")
    page.evaluate("document.querySelectorAll('article')[1].mark = 'same element'")

    client.chat_update(channel=MESH_OPS, ts=ts, text="after")

    expect(log(page)).to_contain_text("after")
    expect(log(page)).to_contain_text("(edited)")
    assert page.evaluate("document.querySelectorAll('article')[1].mark") == "same element"


def test_without_a_bot_the_page_says_so(page: Page) -> None:
    expect(page.get_by_role("status")).to_have_text("App not connected")

    line(page).fill("/istio-root check")
    line(page).press("Enter")

    expect(log(page)).to_contain_text('/istio-root failed with the error "dispatch_failed"')


def test_a_permalink_opens_the_thread(page: Page, client: WebClient) -> None:
    parent = client.chat_postMessage(channel=MESH_OPS, text="parent")["ts"]
    reply = client.chat_postMessage(channel=MESH_OPS, text="a reply", thread_ts=parent)["ts"]

    page.goto(client.chat_getPermalink(channel=MESH_OPS, message_ts=reply)["permalink"])

    expect(page.get_by_role("log", name="Replies")).to_contain_text("a reply")


def test_the_page_fits_a_phone(page: Page, client: WebClient) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    wide = "x" * 300
    parent = client.chat_postMessage(channel=MESH_OPS, text="card", blocks=card(mode="extend", reason=wide))[
        "ts"
    ]
    client.chat_postMessage(channel=MESH_OPS, text="reply", thread_ts=parent)

    expect(log(page).get_by_role("button", name="1 reply")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    log(page).get_by_role("button", name="1 reply").click()
    page.get_by_role("button", name="Close thread").click()
    expect(line(page)).to_be_in_viewport()


def test_every_control_has_a_name(page: Page, client: WebClient) -> None:
    pick = {
        "type": "static_select",
        "options": [{"text": plain("One"), "value": "1"}],
        "placeholder": plain("Pick"),
    }
    more = {"type": "overflow", "options": [{"text": plain("JSON"), "value": "j"}]}
    named = {"type": "button", "text": plain("Go"), "accessibility_label": "Approve rotation of prod-eu"}
    client.chat_postMessage(
        channel=MESH_OPS, text="card", blocks=[{"type": "actions", "elements": [pick, more, named]}]
    )
    expect(log(page).get_by_role("combobox", name="Pick")).to_be_visible()
    expect(log(page).get_by_role("button", name="Approve rotation of prod-eu")).to_be_visible()

    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, summary")].filter((one) =>
            !(one.textContent.trim() || one.getAttribute("aria-label") || one.labels?.length)).length"""
    )

    assert nameless == 0
