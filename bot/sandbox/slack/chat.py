"""chat.*: what the app may say, where, and what becomes of a message that it edits.

Source: facts/slack.md sections 3 and 4. Where Slack documents nothing (a thread whose parent is gone) the
stand-in takes the harsher way and refuses, so that the app has to survive it.
"""

import re
from dataclasses import replace

from bot.sandbox.slack.calls import Arguments
from bot.sandbox.slack.errors import SlackError
from bot.sandbox.slack.forms import with_ids
from bot.sandbox.slack.limits import MESSAGE_TEXT, SPLIT_TEXT, check_attachments, check_blocks
from bot.sandbox.slack.messages import Content, Message
from bot.sandbox.slack.shapes import Json, fault
from bot.sandbox.slack.workspace import BOT, Channel
from bot.sandbox.slack.world import World

_TS = re.compile(r"\d{10}\.\d{6}")


def post_message(world: World, args: Arguments) -> Json:
    """chat.postMessage; a text of over 4,000 characters without blocks becomes several messages."""
    channel = writable(world, args.required("channel"))
    content = content_of(world, args, longest=MESSAGE_TEXT)
    thread_ts = thread_of(world, channel, args)
    first, *rest = _pieces(content)
    posted = [
        world.conversations.post(
            Message(
                channel=channel.id,
                ts=world.conversations.stamp(),
                user=BOT,
                content=piece,
                thread_ts=thread_ts,
                broadcast=thread_ts is not None and args.flag("reply_broadcast"),
                metadata=_metadata(args),
            )
        )
        for piece in (first, *rest)
    ]
    world.changed()
    return {"channel": channel.id, "ts": posted[0].ts, "message": posted[0].to_slack()}


def writable(world: World, key: str) -> Channel:
    """The channel in which the app may post, given by id or name, or a person's direct conversation."""
    if key in world.workspace.people:
        return world.workspace.direct_channel(key)
    channel = world.workspace.channel(key)
    if channel is None or (channel.is_private and BOT not in channel.members):
        raise SlackError("channel_not_found")
    if channel.is_archived:
        raise SlackError("is_archived")
    if BOT not in channel.members:
        raise SlackError("not_in_channel")
    return channel


def content_of(world: World, args: Arguments, *, longest: int) -> Content:
    """What a call wants to show, judged as Slack judges it."""
    text = args.text("text") or ""
    blocks, attachments = _blocks(args), _attachments(args)
    if len(text) > longest:
        raise SlackError("msg_too_long")
    if not (text.strip() or blocks or attachments):
        raise SlackError("no_text")
    return Content(at=world.clock(), text=text, blocks=blocks, attachments=attachments)


def _blocks(args: Arguments) -> tuple[Json, ...]:
    blocks = args.decoded("blocks", otherwise="invalid_blocks_format")
    if blocks is None:
        return ()
    if not isinstance(blocks, list):
        raise SlackError("invalid_blocks_format")
    if faults := check_blocks(blocks):
        raise SlackError.of_faults("invalid_blocks", faults)
    return with_ids(blocks)


def _attachments(args: Arguments) -> tuple[Json, ...]:
    attachments = args.decoded("attachments", otherwise="invalid_attachments")
    if not attachments:
        return ()
    if faults := check_attachments(attachments):
        inner = all("/blocks" in one for one in faults)
        raise SlackError.of_faults("invalid_blocks" if inner else "invalid_attachments", faults)
    return tuple(
        {**one, "blocks": list(with_ids(one["blocks"]))} if "blocks" in one else dict(one)
        for one in attachments
    )


def thread_of(world: World, channel: Channel, args: Arguments) -> str | None:
    """The parent that a call wants to reply to, if any; it has to be there and be no reply itself."""
    thread_ts = args.text("thread_ts")
    if thread_ts is None:
        return None
    parent = world.conversations.find(channel.id, thread_ts) if _TS.fullmatch(thread_ts) else None
    if parent is None:
        raise SlackError("thread_not_found")
    if parent.is_reply:
        raise SlackError("cannot_reply_to_message")
    return thread_ts


def _metadata(args: Arguments) -> Json | None:
    metadata = args.decoded("metadata")
    if not metadata:
        return None
    wanted = isinstance(metadata, dict) and set(metadata) == {"event_type", "event_payload"}
    if not wanted or not isinstance(metadata["event_payload"], dict):
        raise SlackError("invalid_metadata_format")
    return dict(metadata)


def _pieces(content: Content) -> list[Content]:
    if content.blocks or len(content.text) <= SPLIT_TEXT:
        return [content]
    texts = [content.text[i : i + SPLIT_TEXT] for i in range(0, len(content.text), SPLIT_TEXT)]
    return [Content(at=content.at, text=text) for text in texts]


def update(world: World, args: Arguments) -> Json:
    """chat.update: text without blocks removes the blocks; attachments stay unless given."""
    message = _own(world, args, refusal="cant_update_message")
    if world.workspace.channels[message.channel].is_archived:
        raise SlackError("is_inactive")
    if not any(args.given(name) for name in ("text", "blocks", "attachments")):
        raise SlackError("no_text")
    new = message.showing(_merged(world, message.content, args), edited=not args.given("blocks"))
    if args.given("metadata"):
        new = replace(new, metadata=_metadata(args))
    world.conversations.post(new)
    world.changed()
    return {
        "channel": new.channel,
        "ts": new.ts,
        "text": new.content.text,
        "message": new.to_slack(),
    }


def _own(world: World, args: Arguments, *, refusal: str) -> Message:
    channel = world.workspace.channels.get(args.required("channel"))
    if channel is None:
        raise SlackError("channel_not_found")
    message = world.conversations.find(channel.id, args.required("ts"))
    if message is None:
        raise SlackError("message_not_found")
    if message.user != BOT:
        raise SlackError(refusal)
    return message


def _merged(world: World, old: Content, args: Arguments) -> Content:
    text = args.text("text")
    if text is not None and len(text) > SPLIT_TEXT:
        raise SlackError("msg_too_long")
    kept = old.blocks if text is None else ()
    blocks = _blocks(args) if args.given("blocks") else kept
    attachments = _attachments(args) if args.given("attachments") else old.attachments
    merged = old.text if text is None else text
    if not (merged.strip() or blocks or attachments):
        raise SlackError("no_text")
    return Content(at=world.clock(), text=merged, blocks=blocks, attachments=attachments)


def delete(world: World, args: Arguments) -> Json:
    """chat.delete."""
    message = _own(world, args, refusal="cant_delete_message")
    world.conversations.delete(message)
    world.changed()
    return {"channel": message.channel, "ts": message.ts}


def post_ephemeral(world: World, args: Arguments) -> Json:
    """chat.postEphemeral: to a member of a channel in which the app is."""
    channel, user = writable(world, args.required("channel")), args.required("user")
    if user not in channel.members:
        raise SlackError("user_not_in_channel")
    content = content_of(world, args, longest=MESSAGE_TEXT)
    thread_ts = args.text("thread_ts")
    if thread_ts is not None and not _TS.fullmatch(thread_ts):
        raise SlackError.of_faults("invalid_arguments", [fault("invalid thread_ts", "/thread_ts")])
    ephemeral = world.conversations.whisper(
        content, channel=channel.id, user=user, sender="app", thread_ts=thread_ts
    )
    world.changed()
    return {"message_ts": ephemeral.ts}


def get_permalink(world: World, args: Arguments) -> Json:
    """chat.getPermalink; the link opens the message on the stand-in's page."""
    channel = world.workspace.channels.get(args.required("channel"))
    if channel is None:
        raise SlackError("channel_not_found")
    message = world.conversations.find(channel.id, args.required("message_ts"))
    if message is None:
        raise SlackError("message_not_found")
    anchor = f"{world.url}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    thread = f"?thread_ts={message.thread_ts}&cid={channel.id}" if message.is_reply else ""
    return {"channel": channel.id, "permalink": anchor + thread}
