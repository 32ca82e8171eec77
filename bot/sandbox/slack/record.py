"""The stand-in's memory as JSON: the state that the page draws, and the whole record for tests.

Neither ever holds a token. The record keeps what a person no longer sees: earlier versions, deleted
messages, refused calls, lost envelopes.
"""

from bot.sandbox.slack.messages import Message
from bot.sandbox.slack.shapes import Json
from bot.sandbox.slack.views import View
from bot.sandbox.slack.workspace import APP_ID, APPROVERS, BOT, MESH_OPS, TEAM, Channel, Person
from bot.sandbox.slack.world import World


def state_of_world(world: World, *, connections: int) -> Json:
    """What people see now: channels with their threads, ephemeral texts, open dialogs, Home tabs."""
    workspace, said, views = world.workspace, world.conversations, world.views
    return {
        "version": world.version,
        "now": world.clock(),
        "team": {"id": TEAM, "name": workspace.name},
        "app": {"id": APP_ID, "user": BOT, "connections": connections},
        "main_channel": MESH_OPS,
        "commands": [one.to_state() for one in world.registration.commands],
        "people": [_person(one) for one in workspace.people.values()],
        "groups": [one.to_slack() | {"users": list(one.users)} for one in workspace.groups.values()],
        "approvers": APPROVERS,
        "channels": [_channel(world, one) for one in workspace.channels.values()],
        "ephemerals": [one.to_record() for one in said.ephemerals.values() if not one.deleted],
        "files": {one.id: _file(world, one.id) for one in world.files.values() if one.channel},
        "views": {user: [_view(one) for one in stack] for user, stack in views.stacks.items()},
        "homes": {user: _view(one) for user, one in views.homes.items()},
    }


def _person(person: Person) -> Json:
    return {
        "id": person.id,
        "name": person.name,
        "real_name": person.real_name,
        "role": person.role,
        "team_id": person.team_id,
        "is_bot": person.is_bot,
        "deleted": person.deleted,
    }


def _channel(world: World, channel: Channel) -> Json:
    """A channel with its messages in order; a deleted parent with replies stays as a placeholder."""
    messages = world.conversations.in_channel(channel.id)
    threads: dict[str, list[Message]] = {}
    for message in messages:
        if message.thread_ts is not None and not message.deleted:
            threads.setdefault(message.thread_ts, []).append(message)
    shown = [one for one in messages if not one.deleted or one.ts in threads]
    return {
        "id": channel.id,
        "name": channel.name,
        "topic": channel.topic,
        "is_archived": channel.is_archived,
        "is_ext_shared": channel.is_ext_shared,
        "is_im": channel.is_im,
        "members": list(channel.members),
        "messages": [
            {**one.to_record(), "replies": [reply.to_record() for reply in threads.get(one.ts, [])]}
            for one in shown
            if one.thread_ts is None or one.broadcast
        ],
    }


def _file(world: World, file_id: str) -> Json:
    file = world.files[file_id]
    return {"id": file.id, "name": file.name, "title": file.title, "size": file.length}


def _view(view: View) -> Json:
    return {**view.to_slack(), "errors": view.errors}


def record_of(world: World) -> Json:
    """Everything that happened, in order, for tests and `--record`."""
    said = world.conversations
    return {
        "version": world.version,
        "team": TEAM,
        "channels": [
            {
                "id": channel.id,
                "name": channel.name,
                "messages": [_with_history(one) for one in said.in_channel(channel.id)],
            }
            for channel in world.workspace.channels.values()
        ],
        "ephemerals": [one.to_record() for one in said.ephemerals.values()],
        "files": [one.to_record() for one in world.files.values()],
        "views": [{"user": one.user, **one.to_slack()} for one in world.views.shown],
        "calls": [one.to_record() for one in world.calls],
        "deliveries": [one.to_record() for one in world.deliveries],
    }


def _with_history(message: Message) -> Json:
    return {**message.to_record(), "history": [content.to_record() for content in message.earlier]}
