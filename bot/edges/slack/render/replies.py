"""Answers for one person's eyes: refusals, notes, help, status, history."""

import re
from datetime import datetime
from typing import assert_never

from bot.core.intent import Verb
from bot.core.record import CheckRecord
from bot.core.replies import (
    Begun,
    EndOffered,
    HelpShown,
    HistoryShown,
    Noted,
    Refused,
    Reply,
    StatusShown,
    UnderWay,
)
from bot.core.rotation import Rotation, RotationState
from bot.core.wording import agree, count
from bot.edges.slack.render.blocks import Rendered, context, header, message, packed, section
from bot.edges.slack.render.decisions import decisions
from bot.edges.slack.render.words import code, mention, moment, safe, sentence, short

_CHANNEL = re.compile(r"&lt;#(C[A-Z0-9]{2,20})&gt;")
"""A channel that core named in a sentence: harmless, and clickable is kinder."""
_CHANNEL_ID = re.compile(r"[CG][A-Z0-9]{2,20}")
_MAX_ROWS = 15

_BEGUN = {
    Verb.CHECK: "👀 Looking at *{mesh}*; the report follows in {place}.",
    Verb.VERIFY: "👀 Looking at everything in *{mesh}* that holds its root; the report follows in {place}.",
    Verb.TRANSITION: (
        "👀 Looking at *{mesh}* to make a plan; its card, or what forbids it, follows in {place}. "
        "Nothing changes before a second person approves."
    ),
}
"""What an ack says at once where the answer comes later, in the channel."""

_COMMANDS = (
    ("check", "how long the root lasts and whether anything is wrong; changes nothing", "check {mesh}"),
    (
        "transition",
        "ask for a rotation: opens a dialog, then a second person approves",
        "transition {mesh} lifetime=10y root ends soon",
    ),
    ("verify", "is the new root everywhere?", "verify {mesh}"),
    ("status", "what is going on", "status"),
    ("history", "what was done, and by whom", "history {mesh}"),
    ("cancel", "call off a request, or stop a rotation before it begins anything more", "cancel {mesh}"),
    ("help", "this", "help"),
)


def reply_shown(reply: Reply) -> Rendered:
    """Any reply."""
    match reply:
        case Refused():
            hint = f"\n{sentence(reply.hint, 900)}" if reply.hint else ""
            return _said(f"✋ {_linked(sentence(reply.sentence, 1500))}{_linked(hint)}")
        case Noted():
            return _said(f"👍 {_linked(sentence(reply.sentence, 1500))}")
        case Begun():
            return _said(_BEGUN[reply.verb].format(mesh=safe(reply.mesh, 60), place=_place(reply.channel)))
        case UnderWay():
            return _said(_under_way(reply))
        case HelpShown():
            return _help(reply)
        case StatusShown():
            return _status(reply)
        case HistoryShown():
            return _history(reply)
        case EndOffered():
            return _said(_offered(reply))
        case _:
            assert_never(reply)


def _said(text: str) -> Rendered:
    return message(text, [section(text)])


def _offered(offer: EndOffered) -> str:
    """Outside its dialog an offer cannot be taken."""
    now = safe(offer.why, 300) or safe(offer.share)
    why = (
        f"What is missing changed since it was shown. Now: {now}" if offer.changed else "The dialog is closed"
    )
    return f"✋ {why}. *Nothing was decided:* press *End here…* on the card again."


def _linked(escaped: str) -> str:
    return _CHANNEL.sub(r"<#\1>", escaped)


def _place(channel: str) -> str:
    return f"<#{channel}>" if _CHANNEL_ID.fullmatch(channel) else safe(channel, 80)


def _under_way(reply: UnderWay) -> str:
    what = f"`{safe(reply.verb, 20)}` of *{safe(reply.mesh, 60)}*"
    since = f"asked for by {mention(reply.first)} {moment(reply.since)}"
    if reply.joined:
        return f"👀 The {what} is under way, {since}. Its report will name you, too."
    return f"✋ The {what} is being seen to already, {since}. Wait for what comes of it."


def _help(reply: HelpShown) -> Rendered:
    mesh = reply.meshes[0] if reply.meshes else "prod"
    lines = [
        f"*{verb}*: {what}\n↳ {code('/istio-root ' + example.format(mesh=mesh))}"
        for verb, what, example in _COMMANDS
    ]
    known = ", ".join(code(one, 60) for one in reply.meshes[:30])
    lead = [section(sentence(reply.lead, 600))] if reply.lead else []
    more = "`/istio-check`, `/istio-transition` and `/istio-verify` are the same by short name."
    text = (
        sentence(reply.lead, 600)
        or "The commands of Rootkeeper: check, transition, verify, status, history, cancel."
    )
    return message(text, [*lead, *packed(lines), context(f"Meshes: {known or 'none'}", more)])


def _status(reply: StatusShown) -> Rendered:
    rotations = [_active(one) for one in reply.active[:_MAX_ROWS]] or ["No rotation is going on."]
    ended = dict(reply.overtaken)
    checks = [_checked(one, rotated=ended.get(one.mesh)) for one in reply.checks[:_MAX_ROWS]]
    checks += [f"❓ {code(one, 60)} was never checked" for one in reply.never_checked[:_MAX_ROWS]]
    left_out = len(reply.checks) + len(reply.never_checked) - len(checks)
    checks += [f"… and {count(left_out, 'more mesh')}"] if left_out > 0 else []
    blocks = packed(
        ["*Rotations*", *rotations, "*Scheduled checks*", *(checks or ["No mesh was checked yet."])]
    )
    going_on = len(reply.active)
    text = f"{count(going_on, 'rotation')} {agree(going_on, 'are')} going on."
    return message(text, [header("Status"), *blocks])


def _active(rotation: Rotation) -> str:
    return f"• {code(rotation.mesh, 60)}: {_stands(rotation)}, asked by {mention(rotation.requester)}"


def _stands(rotation: Rotation) -> str:
    if rotation.state is RotationState.PROPOSED:
        return f"*waits for approval* until {moment(rotation.expires_at)}"
    if rotation.state is RotationState.APPROVED and rotation.start_by:
        return f"*approved*, starts before {moment(rotation.start_by)} or not at all"
    at = rotation.current
    ended = sum(1 for _, state in rotation.walk if state.ended)
    step = f", step {ended + 1} of {len(rotation.walk)}: {safe(at[0].title, 150)}" if at else ""
    return f"*{safe(rotation.state.replace('_', ' '))}*{step}"


def _checked(check: CheckRecord, *, rotated: datetime | None) -> str:
    """`rotated`: when a rotation ended of which the check does not know yet."""
    before = f", before the rotation that ended {moment(rotated)}" if rotated else ""
    if check.ok:
        return f"• {code(check.mesh, 60)}: {safe(check.summary)} (checked {moment(check.at)}{before})"
    last = f"last one that ran {moment(check.last_success)}" if check.last_success else "none ever ran"
    return f"❓ {code(check.mesh, 60)}: could not be checked {moment(check.at)}{before}: {safe(check.summary)} ({last})"


def _history(reply: HistoryShown) -> Rendered:
    past, mesh = reply.rotations[:_MAX_ROWS], reply.mesh[:60]
    lines = [_past(one) for one in past] or [f"No rotation of {code(mesh, 60)} was ever asked for."]
    asked_for = count(len(past), "rotation")
    if reply.older or len(past) < len(reply.rotations):
        asked_for = f"the last {asked_for}"
        command = code(f"rootkeeper audit --rows 1000 --mesh {mesh}")
        lines.append(
            f"… and older ones: {command} shows the events, and says when there are still older ones"
        )
    title = f"History of {mesh}"
    return message(f"{safe(title, 120)}: {asked_for}.", [header(title), *packed(lines)])


def _past(rotation: Rotation) -> str:
    plan = rotation.plan
    roots = f"{short(plan.old_root.fingerprint)} → {short(plan.new_root.fingerprint)}"
    lines = [
        f"• *{safe(rotation.state.replace('_', ' '))}*: root {roots}",
        f"Asked for by {mention(rotation.requester)} {moment(rotation.created_at)}",
        *decisions(rotation, note=150),
    ]
    told = {decision.note for decision in rotation.decisions}
    ended = f"Ended {moment(rotation.finished_at)}" if rotation.finished_at else ""
    outcome = sentence(rotation.outcome, 200) if rotation.outcome not in told else ""
    lines.append(": ".join(part for part in (ended, outcome) if part))
    return "\n↳ ".join(line for line in lines if line)
