"""files.*: the three steps of an upload (ask for a URL, send the bytes there, complete).

As in Slack the share is not told in the answer of the last step; the message simply appears.
"""

from typing import Any

from bot.sandbox.slack.calls import Arguments
from bot.sandbox.slack.chat import thread_of, writable
from bot.sandbox.slack.errors import SlackError
from bot.sandbox.slack.messages import Content, Message
from bot.sandbox.slack.shapes import Json
from bot.sandbox.slack.workspace import BOT
from bot.sandbox.slack.world import StoredFile, World


def get_upload_url(world: World, args: Arguments) -> Json:
    """files.getUploadURLExternal: length must be above zero."""
    name, length = args.required("filename"), args.number("length")
    if length <= 0:
        raise SlackError("invalid_arguments")
    file = StoredFile(id=f"F0FILE{len(world.files):05d}", name=name, length=length)
    world.files[file.id] = file
    return {"file_id": file.id, "upload_url": f"{world.url}/upload/{file.id}/{file.key}"}


def receive(world: World, file_id: str, key: str, content: bytes) -> bool:
    """Take the bytes; they have to be as many as were announced."""
    file = world.files.get(file_id)
    if file is None or file.key != key or file.content is not None or len(content) != file.length:
        return False
    file.content = content
    return True


def complete_upload(world: World, args: Arguments) -> Json:
    """files.completeUploadExternal: shares the files in a channel, or in a thread of it."""
    wanted = args.decoded("files")
    if not isinstance(wanted, list) or not wanted:
        raise SlackError("invalid_arguments")
    files = [_uploaded(world, one) for one in wanted]
    if args.given("channel_id"):
        _share(world, args, files)
    return {"files": [{"id": file.id, "title": file.title, "name": file.name} for file in files]}


def _uploaded(world: World, wanted: Any) -> StoredFile:
    file = world.files.get(wanted.get("id", "")) if isinstance(wanted, dict) else None
    if file is None or file.content is None:
        raise SlackError("file_not_found")
    file.title = str(wanted.get("title") or file.name)
    return file


def _share(world: World, args: Arguments, files: list[StoredFile]) -> None:
    channel = writable(world, args.required("channel_id"))
    thread_ts = thread_of(world, channel, args)
    for file in files:
        file.channel, file.thread_ts = channel.id, thread_ts
    world.conversations.post(
        Message(
            channel=channel.id,
            ts=world.conversations.stamp(),
            user=BOT,
            content=Content(at=world.clock(), text=args.text("initial_comment") or ""),
            thread_ts=thread_ts,
            files=tuple(file.id for file in files),
        )
    )
    world.changed()
