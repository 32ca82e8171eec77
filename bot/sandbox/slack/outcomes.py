"""What a person saw of what they did."""

from dataclasses import dataclass, field

from bot.sandbox.slack.shapes import Json
from bot.sandbox.slack.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of an act, as far as the person can see.

    `ok` means that the app acknowledged it in time (or that no app was needed); `error` is Slack's own text
    where it did not. `saw` holds the ephemeral texts that reached the person meanwhile, `errors` what stands
    at the inputs of a refused dialog, `view` the dialog now open, `confirm` the question that a client asks
    before the press counts.
    """

    ok: bool
    error: str | None = None
    saw: tuple[Json, ...] = ()
    errors: dict[str, str] = field(default_factory=dict)
    view: Json | None = None
    confirm: Json | None = None
    ack_ms: float | None = None
    version: int = 0

    def to_record(self) -> Json:
        """As JSON for the control API."""
        return {
            "ok": self.ok,
            "error": self.error,
            "saw": list(self.saw),
            "errors": self.errors,
            "view": self.view,
            "confirm": self.confirm,
            "ack_ms": self.ack_ms,
            "version": self.version,
        }


class Glance:
    """What one person sees in one channel, remembered so as to tell what is new."""

    def __init__(self, world: World, user: str, channel: str) -> None:
        self._world, self._user, self._channel = world, user, channel
        self._known = set(world.conversations.ephemerals)
        self._before = self._sight()

    def sees_news(self) -> bool:
        """Whether a text, a message, an edit or a dialog came since."""
        return self._sight() != self._before

    def _sight(self) -> tuple[object, ...]:
        said, views = self._world.conversations, self._world.views
        texts = [(one.ts, one.content.at) for one in said.ephemerals.values() if one.user == self._user]
        messages = [(one.ts, one.content.at, one.deleted) for one in said.in_channel(self._channel)]
        open_ = [(one.id, one.hash, tuple(one.errors)) for one in views.stacks.get(self._user, [])]
        home = views.homes.get(self._user)
        return texts, messages, open_, home and home.hash

    def outcome(
        self,
        *,
        ok: bool,
        error: str | None = None,
        ack_ms: float | None = None,
        confirm: Json | None = None,
    ) -> Outcome:
        """The outcome with what the person sees now."""
        whispers = self._world.conversations.ephemerals.values()
        new = [one for one in whispers if one.user == self._user and one.ts not in self._known]
        view = self._world.views.top(self._user)
        return Outcome(
            ok=ok,
            error=error,
            ack_ms=ack_ms,
            confirm=confirm,
            saw=tuple(one.to_record() for one in new),
            errors=dict(view.errors) if view else {},
            view=view.to_slack() if view else None,
            version=self._world.version,
        )
