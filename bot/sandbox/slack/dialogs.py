"""views.*: dialogs that an app opens with a trigger id, and Home tabs."""

from typing import Any

from bot.sandbox.slack.calls import Arguments
from bot.sandbox.slack.errors import SlackError
from bot.sandbox.slack.forms import with_ids
from bot.sandbox.slack.limits import check_view, view_is_too_large
from bot.sandbox.slack.shapes import Json
from bot.sandbox.slack.views import View
from bot.sandbox.slack.world import World


def views_open(world: World, args: Arguments) -> Json:
    """views.open: the trigger is used up only by a view that Slack takes."""
    source = accepted_view(args.decoded("view"))
    user = world.views.exchange(args.required("trigger_id"))
    return _shown(world, world.views.open(user, source))


def accepted_view(view: Any, *, home: bool = False) -> Json:
    """The view with ids filled in, or Slack's refusal."""
    if faults := check_view(view, home=home):
        raise SlackError.of_faults("invalid_arguments", faults)
    if view_is_too_large(view):
        raise SlackError("view_too_large")
    return {**view, "blocks": list(with_ids(view["blocks"]))}


def _shown(world: World, view: View) -> Json:
    world.changed()
    return {"view": view.to_slack()}


def views_push(world: World, args: Arguments) -> Json:
    """views.push: at most three dialogs deep."""
    source = accepted_view(args.decoded("view"))
    user = world.views.exchange(args.required("trigger_id"))
    return _shown(world, world.views.push(user, source))


def views_update(world: World, args: Arguments) -> Json:
    """views.update by view_id or external_id; needs no trigger, minds the hash if there is one."""
    source = accepted_view(args.decoded("view"))
    external_id = args.text("external_id")
    view = (
        world.views.by_external_id(external_id) if external_id else world.views.find(args.required("view_id"))
    )
    if view is None:
        raise SlackError("not_found")
    _mind_hash(view, args)
    return _shown(world, world.views.update(view, source))


def _mind_hash(view: View, args: Arguments) -> None:
    if args.text("hash") not in (None, view.hash):
        raise SlackError("hash_conflict")


def views_publish(world: World, args: Arguments) -> Json:
    """views.publish: a person's Home tab."""
    user, source = args.required("user_id"), accepted_view(args.decoded("view"), home=True)
    if user not in world.workspace.people:
        raise SlackError("user_not_found")
    if user in world.views.homes:
        _mind_hash(world.views.homes[user], args)
    return _shown(world, world.views.publish(user, source))
