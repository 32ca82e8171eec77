"""auth.test, users.*, usergroups.*, conversations.* and bots.info: who and what there is."""

from bot.sandbox.slack.calls import Arguments
from bot.sandbox.slack.errors import SlackError
from bot.sandbox.slack.messages import Message
from bot.sandbox.slack.shapes import Json
from bot.sandbox.slack.workspace import APP_ID, BOT, BOT_ID, TEAM, Channel, Group
from bot.sandbox.slack.world import World

_END = {"response_metadata": {"next_cursor": ""}}  # everything fits on one page here


def auth_test(world: World, args: Arguments) -> Json:  # noqa: ARG001
    """auth.test: who the bot token belongs to."""
    return {
        "url": f"{world.url}/",
        "team": world.workspace.name,
        "user": world.workspace.people[BOT].name,
        "team_id": TEAM,
        "user_id": BOT,
        "bot_id": BOT_ID,
        "is_enterprise_install": False,
    }


def bots_info(world: World, args: Arguments) -> Json:
    """bots.info of this app's bot, the only one."""
    if args.text("bot") not in (None, BOT_ID):
        raise SlackError("bot_not_found")
    name = world.workspace.people[BOT].name
    return {"bot": {"id": BOT_ID, "app_id": APP_ID, "user_id": BOT, "name": name, "deleted": False}}


def users_info(world: World, args: Arguments) -> Json:
    """users.info: the flags by which an approver is judged."""
    person = world.workspace.people.get(args.required("user"))
    if person is None:
        raise SlackError("user_not_found")
    return {"user": person.to_slack()}


def usergroups_list(world: World, args: Arguments) -> Json:
    """usergroups.list; members only with include_users."""
    groups = [one for one in world.workspace.groups.values() if args.flag("include_disabled") or _on(one)]
    with_users = args.flag("include_users")
    return {
        "usergroups": [
            {**one.to_slack(), **({"users": list(one.users)} if with_users else {})} for one in groups
        ]
    }


def _on(group: Group) -> bool:
    return not group.disabled


def usergroups_users_list(world: World, args: Arguments) -> Json:
    """usergroups.users.list: ids as they stand, deactivated people and guests included."""
    group = world.workspace.groups.get(args.required("usergroup"))
    if group is None or (group.disabled and not args.flag("include_disabled")):
        raise SlackError("no_such_subteam")
    return {"users": list(group.users)}


def conversations_info(world: World, args: Arguments) -> Json:
    """conversations.info: is the app in it, is it archived, is it shared with outsiders."""
    channel = _visible(world, args)
    members = {"num_members": len(channel.members)} if args.flag("include_num_members") else {}
    return {"channel": {**channel.to_slack(), **members}}


def _visible(world: World, args: Arguments) -> Channel:
    channel = world.workspace.channels.get(args.required("channel"))
    if channel is None or (channel.is_private and BOT not in channel.members):
        raise SlackError("channel_not_found")
    return channel


def conversations_members(world: World, args: Arguments) -> Json:
    """conversations.members: ids of everybody in it, the bot included."""
    return {"members": list(_visible(world, args).members), **_END}


def conversations_history(world: World, args: Arguments) -> Json:
    """conversations.history, newest first; only for a token that was given the scope in a test."""
    channel = _visible(world, args)
    shown = [one for one in world.conversations.in_channel(channel.id) if not one.deleted]
    top = [one for one in shown if not one.is_reply or one.broadcast]
    return {"messages": [_told(world, one) for one in reversed(top)], "has_more": False, **_END}


def conversations_replies(world: World, args: Arguments) -> Json:
    """conversations.replies, parent first; only for a token that was given the scope in a test."""
    channel, ts = _visible(world, args), args.required("ts")
    parent = world.conversations.find(channel.id, ts)
    if parent is None:
        raise SlackError("thread_not_found")
    thread = [parent, *world.conversations.replies(channel.id, ts)]
    return {"messages": [_told(world, one) for one in thread], "has_more": False, **_END}


def _told(world: World, message: Message) -> Json:
    return message.to_slack(reply_count=len(world.conversations.replies(message.channel, message.ts)))
