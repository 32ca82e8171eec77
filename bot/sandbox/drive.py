"""The story without hands: what two people would do on the page, judged step by step.

Each step says what it saw; the first that did not see it ends the story.
"""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.cluster.running import RunningCluster
from bot.sandbox.slack.messages import Content, Message
from bot.sandbox.slack.running import RunningSlack
from bot.sandbox.slack.workspace import ADA, GRACE, GUS, MESH_OPS
from bot.sandbox.slack.world import World

ANSWER_SECONDS = 20.0
ROTATION_SECONDS = 90.0

Say = Callable[[str], None]


class NotSo(Exception):
    """A step of the story did not go as it should."""


@dataclass(slots=True, kw_only=True)
class Story:
    """One telling of the story."""

    slack: RunningSlack
    mesh: str
    say: Say
    cluster: RunningCluster | None = None
    """None where the mesh is a real one."""
    began: float = field(default_factory=time.monotonic)
    card: str = ""
    """The approval card's ts."""
    serials_before: set[str] = field(default_factory=set)
    """Of the roots that the mesh's processes held when a rotation was asked for."""

    def tell(self, what: str) -> None:
        """A line for a step that was so."""
        self.say(f"{time.monotonic() - self.began:6.1f} s  {what}")

    def seen(self, fits: Callable[[Message], bool], *, what: str, seconds: float = ANSWER_SECONDS) -> Message:
        """Wait for a message in the channel or a thread."""

        def look(world: World) -> Message | None:
            said = [m for m in world.conversations.in_channel(MESH_OPS) if not m.deleted]
            return next((m for m in reversed(said) if fits(m)), None)

        try:
            found = self.slack.wait_for(look, seconds=seconds)
        except TimeoutError:
            found = None
        if found is None:
            raise NotSo(f"not seen within {seconds:.0f} s: {what}")
        return found

    def whispered(self, user: str, words: str, *, what: str) -> None:
        """Wait for a text that only `user` sees."""

        def look(world: World) -> bool:
            seen = [e.content for e in world.conversations.ephemerals.values() if e.user == user]
            return any(words.lower() in _shown(content).lower() for content in seen)

        try:
            self.slack.wait_for(look, seconds=ANSWER_SECONDS)
        except TimeoutError:
            raise NotSo(f"not told: {what}") from None


def play(slack: RunningSlack, cluster: RunningCluster, *, say: Say, mesh: str) -> int:
    """Play the story; 0 when every step was so."""
    story = Story(slack=slack, cluster=cluster, mesh=mesh, say=say)
    try:
        for step in STEPS:
            step(story)
    except NotSo as reason:
        story.tell(f"NOT SO: {reason}")
        return 1
    story.tell("every step was so")
    return 0


def _text(message: Message) -> str:
    return _shown(message.content)


def _shown(content: Content) -> str:
    """Everything a message shows, as one text."""
    return content.text + json.dumps(list(content.all_blocks()), ensure_ascii=False)


def _typed(story: Story, user: str, text: str) -> None:
    outcome = story.slack.command(user, text)
    if not outcome.ok:
        raise NotSo(f"`{text}` was not acknowledged: {outcome.error}")


def check(story: Story) -> None:
    """The root is about to expire, and `check` says so."""
    _typed(story, ADA, f"/istio-root check {story.mesh}")
    report = story.seen(
        lambda m: "ca.expiry" in _text(m) and "Asked by" in _text(m), what="the report of the check"
    )
    story.tell(f"check: {report.content.text}")


def transition(story: Story) -> None:
    """A plan is proposed; its card asks for somebody else's approval."""
    if story.cluster is not None:
        story.serials_before = {t.serial for t in story.cluster.truths()}
    _typed(story, ADA, f"/istio-root transition {story.mesh} lifetime=10y the root ends in twelve days")
    card = story.seen(lambda m: _has_button(m, "approve"), what="the approval card")
    story.card = card.ts
    story.tell(f"transition: {card.content.text}")


def _has_button(message: Message, action: str) -> bool:
    return any(
        element.get("action_id") == action
        for block in message.content.all_blocks()
        for element in block.get("elements") or ()
    )


def refuse_requester(story: Story) -> None:
    """Nobody rotates alone."""
    story.slack.press(ADA, "approve", ts=story.card)
    story.whispered(ADA, "second person", what="the refusal of the requester's own press")
    story.tell("the requester's own press was refused")


def refuse_guest(story: Story) -> None:
    """A guest may not decide."""
    story.slack.press(GUS, "approve", ts=story.card)
    story.whispered(GUS, "guest", what="the refusal of a guest's press")
    story.tell("a guest's press was refused")


def approve(story: Story) -> None:
    """The second person approves."""
    story.slack.press(GRACE, "approve", ts=story.card)
    story.seen(
        lambda m: m.ts == story.card and not _has_button(m, "approve"), what="the card without its buttons"
    )
    story.tell("a second person approved; the buttons are gone")


def rotate(story: Story) -> None:
    """Step by step in the card's thread, until the result, which the whole channel hears."""
    result = story.seen(
        lambda m: m.thread_ts == story.card and m.broadcast, what="the result", seconds=ROTATION_SECONDS
    )
    replies = story.slack.ask(
        lambda world: [m for m in world.conversations.in_channel(MESH_OPS) if m.thread_ts == story.card]
    )
    for reply in replies:
        story.tell(f"thread: {reply.content.text}")
    if "new root" not in _text(result):
        raise NotSo(f"the result is {result.content.text}")


def truth(story: Story) -> None:
    """What the mesh's processes really hold, asked behind the bot's back; and how it got there."""
    if story.cluster is None:
        return
    truths = story.cluster.truths()
    serials = {t.serial for t in truths}
    if len(serials) != 1 or not truths:
        raise NotSo(f"{len(truths)} processes hold {len(serials)} different roots")
    if serials & story.serials_before:
        raise NotSo(f"all {len(truths)} processes still hold the old root")
    forbidden = [
        e
        for e in story.cluster.audit()
        if e.resource == "secrets" and e.verb in ("delete", "create") and "rootkeeper" in e.user
    ]
    if forbidden:
        raise NotSo(f"the bot tried to {forbidden[0].verb} a secret")
    story.tell(
        f"all {len(truths)} processes of the mesh hold one root, a new one; no secret was deleted or created"
    )


def verify(story: Story) -> None:
    """`verify` agrees."""
    _typed(story, GRACE, f"/istio-root verify {story.mesh}")
    report = story.seen(
        lambda m: f"Verify of {story.mesh}:" in m.content.text, what="the report of the verification"
    )
    text = report.content.text
    if not (text.startswith("✅") and re.search(r": all [\d,]+ holders have the root", text)):
        raise NotSo(f"the verification says: {text}")
    story.tell(f"verify: {report.content.text}")


def history(story: Story) -> None:
    """Who did what is on record."""
    _typed(story, GRACE, f"/istio-root history {story.mesh}")
    story.whispered(GRACE, f"history of {story.mesh}", what="the history")
    story.tell("history: shown")


STEPS: tuple[Callable[[Story], Any], ...] = (
    check,
    transition,
    refuse_requester,
    refuse_guest,
    approve,
    rotate,
    truth,
    verify,
    history,
)
