"""The people, the user group and the channels of the sandbox's workspace.

Everything in a `Workspace` may be changed while the stand-in runs (`change_person`, `change_channel`,
`change_group`): a test deactivates somebody, empties the group, archives the channel. Ids look like
Slack's; names are only for people's eyes, as in Slack, where anybody can change theirs.
"""

from dataclasses import dataclass, replace
from typing import Any

from bot.sandbox.slack.shapes import Json

TEAM = "T0SANDBOX1"
OTHER_TEAM = "T0ELSEWHR1"
ADA = "U0ADA00001"
GRACE = "U0GRACE001"
GUS = "U0GUS00001"
STEN = "U0STEN0001"
DORA = "U0DORA0001"
BOT = "U0ROOTKPR1"
BOT_ID = "B0ROOTKPR1"
APP_ID = "A0ROOTKPR1"
MESH_OPS = "C0MESHOPS1"
RANDOM = "C0RANDOM01"
APPROVERS = "S0APPROVE1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One account, with the flags of users.info that an approver has to be judged by."""

    id: str
    name: str
    real_name: str
    role: str
    team_id: str = TEAM
    deleted: bool = False
    is_bot: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    is_admin: bool = False

    def to_slack(self) -> Json:
        """The `user` object of users.info (without e-mail: that needs a scope of its own)."""
        return {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.name,
            "deleted": self.deleted,
            "real_name": self.real_name,
            "tz": "Europe/Berlin",
            "profile": {
                "real_name": self.real_name,
                "display_name": self.name,
                "team": self.team_id,
                **({"bot_id": BOT_ID, "api_app_id": APP_ID} if self.is_bot else {}),
            },
            "is_admin": self.is_admin,
            "is_owner": False,
            "is_restricted": self.is_restricted,
            "is_ultra_restricted": self.is_ultra_restricted,
            "is_stranger": self.is_stranger,
            "is_bot": self.is_bot,
            "is_app_user": False,
            "updated": 0,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A channel or a direct conversation, with who is in it."""

    id: str
    name: str
    members: tuple[str, ...]
    topic: str = ""
    is_private: bool = False
    is_archived: bool = False
    is_ext_shared: bool = False
    is_pending_ext_shared: bool = False
    is_im: bool = False

    def to_slack(self) -> Json:
        """The `channel` object of conversations.info, as the bot sees it."""
        return {
            "id": self.id,
            "name": self.name,
            "name_normalized": self.name,
            "is_channel": not self.is_private and not self.is_im,
            "is_group": self.is_private,
            "is_im": self.is_im,
            "is_mpim": False,
            "is_private": self.is_private,
            "is_archived": self.is_archived,
            "is_general": False,
            "is_shared": self.is_ext_shared,
            "is_ext_shared": self.is_ext_shared,
            "is_pending_ext_shared": self.is_pending_ext_shared,
            "is_org_shared": False,
            "is_member": BOT in self.members,
            "context_team_id": TEAM,
            "creator": ADA,
            "topic": {"value": self.topic, "creator": ADA, "last_set": 0},
            "purpose": {"value": self.topic, "creator": ADA, "last_set": 0},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A user group ("subteam"), to whose members a config may point."""

    id: str
    handle: str
    name: str
    users: tuple[str, ...]
    disabled: bool = False

    def to_slack(self) -> Json:
        """The `usergroup` object of usergroups.list."""
        return {
            "id": self.id,
            "team_id": TEAM,
            "is_usergroup": True,
            "name": self.name,
            "handle": self.handle,
            "date_delete": 1 if self.disabled else 0,
            "user_count": len(self.users),
        }


def _people() -> list[Person]:
    return [
        Person(id=ADA, name="ada", real_name="Ada Lindqvist", role="SRE"),
        Person(id=GRACE, name="grace", real_name="Grace Okafor", role="SRE"),
        Person(id=GUS, name="gus", real_name="Gus Amari", role="guest", is_restricted=True),
        Person(
            id=STEN,
            name="sten",
            real_name="Sten Varga",
            role="other organisation",
            team_id=OTHER_TEAM,
            is_stranger=True,
        ),
        Person(id=DORA, name="dora", real_name="Dora Pérez", role="deactivated", deleted=True),
        Person(id=BOT, name="rootkeeper", real_name="Rootkeeper", role="app", is_bot=True),
    ]


def _channels() -> list[Channel]:
    return [
        Channel(
            id=MESH_OPS,
            name="mesh-ops",
            members=(ADA, GRACE, GUS, STEN, BOT),
            topic="Certificates of the mesh",
        ),
        Channel(id=RANDOM, name="random", members=(ADA, GRACE, GUS), topic="The app is not in this channel"),
    ]


class Workspace:
    """Who and what there is, by id; every change gives a new version of the changed thing only."""

    def __init__(self) -> None:
        self.name = "Sandbox"
        self.domain = "sandbox"
        self.people = {person.id: person for person in _people()}
        self.channels = {channel.id: channel for channel in _channels()}
        self.groups = {
            APPROVERS: Group(id=APPROVERS, handle="mesh-approvers", name="Mesh approvers", users=(ADA, GRACE))
        }

    def change_person(self, user: str, **changes: Any) -> None:
        """Give an account other fields, for instance `deleted=True`."""
        self.people[user] = replace(self.people[user], **changes)

    def change_channel(self, channel: str, **changes: Any) -> None:
        """Give a channel other fields, for instance `is_archived=True` or `members=(...)`."""
        self.channels[channel] = replace(self.channels[channel], **changes)

    def change_group(self, group: str, **changes: Any) -> None:
        """Give a user group other fields, for instance `users=()`."""
        self.groups[group] = replace(self.groups[group], **changes)

    def remove_group(self, group: str) -> None:
        """Delete a user group for good, so that asking for it says no_such_subteam."""
        del self.groups[group]

    def person(self, key: str) -> Person | None:
        """The account with this id or, for people driving the sandbox, this name."""
        named = (person for person in self.people.values() if person.name == key.lstrip("@"))
        return self.people.get(key) or next(named, None)

    def channel(self, key: str) -> Channel | None:
        """The channel with this id or name, with or without its "#"."""
        named = (channel for channel in self.channels.values() if channel.name == key.lstrip("#"))
        return self.channels.get(key) or next(named, None)

    def direct_channel(self, user: str) -> Channel:
        """The conversation between the app and one person; it is made when first asked for."""
        channel_id = "D" + user[1:]
        if channel_id not in self.channels:
            self.channels[channel_id] = Channel(
                id=channel_id, name=f"dm-{self.people[user].name}", members=(user, BOT), is_im=True
            )
        return self.channels[channel_id]
