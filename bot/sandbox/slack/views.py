"""Dialogs and Home tabs: who has which view open, and the trigger ids that let an app open one.

A trigger id is good for one person, once, for three seconds. A person's dialogs are a stack of at most
three; the top one is what the person sees. Values only; the payloads stand in payloads.py.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from bot.sandbox.slack.errors import SlackError
from bot.sandbox.slack.shapes import Json
from bot.sandbox.slack.workspace import APP_ID, BOT_ID, TEAM

DEEPEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A dialog or a Home tab; `source` is what the app sent, with ids filled in."""

    id: str
    user: str
    hash: str
    source: Json
    root_id: str
    state: Json = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def to_slack(self) -> Json:
        """The `view` object of payloads and answers."""
        source = self.source
        return {
            "id": self.id,
            "team_id": TEAM,
            "app_id": APP_ID,
            "bot_id": BOT_ID,
            "app_installed_team_id": TEAM,
            "type": source["type"],
            "blocks": source["blocks"],
            "private_metadata": source.get("private_metadata", ""),
            "callback_id": source.get("callback_id", ""),
            "external_id": source.get("external_id", ""),
            "state": {"values": self.state},
            "hash": self.hash,
            "title": source.get("title"),
            "submit": source.get("submit"),
            "close": source.get("close"),
            "clear_on_close": source.get("clear_on_close", False),
            "notify_on_close": source.get("notify_on_close", False),
            "root_view_id": self.root_id,
            "previous_view_id": None,
        }


@dataclass(slots=True)
class _Trigger:
    user: str
    until: float
    used: bool = False


class Views:
    """Every trigger id, open dialog and Home tab."""

    def __init__(self, clock: Callable[[], float], *, trigger_seconds: float) -> None:
        self._clock = clock
        self._trigger_seconds = trigger_seconds
        self._triggers: dict[str, _Trigger] = {}
        self._count = 0
        self.stacks: dict[str, list[View]] = {}
        self.homes: dict[str, View] = {}
        self.shown: list[View] = []

    def new_trigger(self, user: str) -> str:
        """A trigger id for something that a person just did."""
        trigger_id = f"{secrets.randbelow(10**13)}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        self._triggers[trigger_id] = _Trigger(user=user, until=self._clock() + self._trigger_seconds)
        return trigger_id

    def exchange(self, trigger_id: str) -> str:
        """Use up a trigger id; gives the person it was made for."""
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if trigger.used:
            raise SlackError("exchanged_trigger_id")
        if self._clock() > trigger.until:
            raise SlackError("expired_trigger_id")
        trigger.used = True
        return trigger.user

    def open(self, user: str, source: Json) -> View:
        """Show a dialog to a person, in place of whatever dialog was open."""
        view = self._make(user, source)
        self.stacks[user] = [view]
        return view

    def push(self, user: str, source: Json) -> View:
        """Put a dialog on top of the person's open ones."""
        stack = self.stacks.setdefault(user, [])
        if len(stack) >= DEEPEST:
            raise SlackError("push_limit_reached")
        view = self._make(user, source, root_id=stack[0].id if stack else None)
        stack.append(view)
        return view

    def publish(self, user: str, source: Json) -> View:
        """Show a Home tab to a person; the tab keeps its id from version to version."""
        old = self.homes.get(user)
        view = self._make(user, source)
        self.homes[user] = replace(view, id=old.id, root_id=old.id) if old else view
        return self.homes[user]

    def update(self, view: View, source: Json) -> View:
        """Give an open view other content; what was typed into it is kept for inputs that stay."""
        new = replace(view, source=source, hash=self._hash(), errors={})
        self._put(new)
        self.shown.append(new)
        return new

    def complain(self, view: View, errors: dict[str, str]) -> None:
        """Show errors at the inputs of an open dialog."""
        self._put(replace(view, errors=errors))

    def find(self, view_id: str) -> View | None:
        """The open view or Home tab of that id."""
        views = [view for stack in self.stacks.values() for view in stack] + list(self.homes.values())
        return next((view for view in views if view.id == view_id), None)

    def by_external_id(self, external_id: str) -> View | None:
        """The open view that the app gave this id of its own."""
        views = [view for stack in self.stacks.values() for view in stack]
        return next((view for view in views if view.source.get("external_id") == external_id), None)

    def close(self, view: View, *, everything: bool = False) -> None:
        """Take a dialog away, or all of the person's."""
        stack = self.stacks.get(view.user, [])
        self.stacks[view.user] = [] if everything else [open_ for open_ in stack if open_.id != view.id]

    def top(self, user: str) -> View | None:
        """The dialog that a person sees."""
        stack = self.stacks.get(user)
        return stack[-1] if stack else None

    def _put(self, view: View) -> None:
        if view.source["type"] == "home":
            self.homes[view.user] = view
        stack = self.stacks.get(view.user, [])
        self.stacks[view.user] = [view if open_.id == view.id else open_ for open_ in stack]

    def _make(self, user: str, source: Json, *, root_id: str | None = None) -> View:
        self._count += 1
        view_id = f"V0VIEW{self._count:05d}"
        view = View(
            id=view_id, user=user, hash=self._hash(), source=source, root_id=root_id or view_id, state={}
        )
        self.shown.append(view)
        return view

    def _hash(self) -> str:
        return f"{int(self._clock())}.{secrets.token_hex(4)}"
