"""Stand-ins for the Slack edge's ports, and a Web API client that calls nobody.

directory = FakeDirectory(people=(facts,), approvers=("U0BEN",))
directory.fails_with = DirectoryUnavailable("…")   every look-up fails until it is None again
replies.said                                       every (caller, reply), in order
desk.commands, desk.decisions                      what was handed over
desk.says = Refused(…)                             what it says at once instead
client = FakeSlackApi(); client.answers["chat.update"] = ["message_not_found", {"ok": True}]
client.calls                                       every (method, arguments)
"""

import threading
from collections.abc import Sequence
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from bot.core.approval import Act, Approvers, PersonFacts
from bot.core.ids import RotationId, TeamId, UserId
from bot.core.intent import Intent
from bot.core.replies import Begun, Caller, Reply
from bot.errors import DirectoryUnavailable
from bot.flow.reception import POSTED

HOME = TeamId("T0HOME")


class FakeDirectory:
    """People and approvers as a test sets them."""

    def __init__(
        self, *, people: Sequence[PersonFacts] = (), approvers: Sequence[str] = (), fault: str | None = None
    ) -> None:
        self.people = {(one.team, one.user): one for one in people}
        self.approving = tuple(approvers)
        self.fault = fault
        self.fails_with: DirectoryUnavailable | None = None

    def person(self, team: TeamId, user: UserId) -> PersonFacts:
        self._fail()
        if (team, user) not in self.people:
            raise DirectoryUnavailable(f"user {user} could not be looked up in Slack: user_not_found")
        return self.people[team, user]

    def approvers(self) -> Approvers:
        self._fail()
        return Approvers(users=frozenset(UserId(one) for one in self.approving), configured=self.approving)

    def channel_fault(self, channel: str) -> str | None:
        del channel
        self._fail()
        return self.fault

    def _fail(self) -> None:
        if self.fails_with is not None:
            raise self.fails_with


class FakeReplies:
    """Keeps what was said to whom."""

    def __init__(self) -> None:
        self.said: list[tuple[Caller, Reply]] = []

    def reply(self, caller: Caller, reply: Reply) -> None:
        self.said.append((caller, reply))


class FakeDesk:
    """Keeps what was handed over."""

    def __init__(self) -> None:
        self.commands: list[tuple[Caller, Intent]] = []
        self.decisions: list[tuple[Caller, Act, RotationId, str]] = []
        self.confirmed: list[str] = []
        self.considered: list[tuple[Caller, RotationId]] = []
        self.says: Reply | None = None

    def command(self, caller: Caller, intent: Intent) -> Reply | None:
        self.commands.append((caller, intent))
        begun = Begun(verb=intent.verb, mesh=intent.mesh, channel="C0MESH")
        return self.says or (begun if intent.verb in POSTED else None)

    def decide(
        self, caller: Caller, act: Act, rotation_id: RotationId, *, note: str, shown: str = ""
    ) -> Reply | None:
        self.decisions.append((caller, act, rotation_id, note))
        self.confirmed.append(shown)
        return self.says

    def consider_end(self, caller: Caller, rotation_id: RotationId) -> Reply | None:
        self.considered.append((caller, rotation_id))
        return self.says


class FakeSlackApi(WebClient):
    """A WebClient whose calls are kept and answered from `answers`, a list for each method.

    An answer is a dict, the name of an error, an exception, or ("429", seconds); the last one stays.
    """

    def __init__(self) -> None:
        super().__init__("xoxb-fake", base_url="http://127.0.0.1:9/", retry_handlers=[])
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, list[Any]] = {}
        self.headers: dict[str, str] = {}
        self._lock = threading.Lock()

    def of(self, method: str) -> list[dict[str, Any]]:
        """The arguments of every call of one method."""
        return [arguments for called, arguments in self.calls if called == method]

    def api_call(self, api_method: str, **kwargs: Any) -> SlackResponse:
        arguments = {
            **(kwargs.get("params") or {}),
            **(kwargs.get("json") or {}),
            **(kwargs.get("data") or {}),
        }
        arguments = {name: value for name, value in arguments.items() if value is not None}
        with self._lock:
            self.calls.append((api_method, arguments))
            answers = self.answers.get(api_method, [])
            answer = answers.pop(0) if len(answers) > 1 else (answers or [self._default(api_method)])[0]
        return self._answered(api_method, answer)

    def _default(self, method: str) -> dict[str, Any]:
        if method == "chat.postMessage":
            return {"channel": "C0MESH", "ts": f"{len(self.calls)}.000100"}
        if method == "auth.test":
            return {"team_id": HOME, "team": "Home", "user_id": "U0BOT", "user": "rootkeeper", "bot_id": "B0"}
        return {}

    def _answered(self, method: str, answer: Any) -> SlackResponse:
        if isinstance(answer, Exception):
            raise answer
        status, headers = 200, self.headers
        if isinstance(answer, tuple):
            status, headers = 429, {"Retry-After": str(answer[1])}
            answer = "ratelimited"
        data = {"ok": False, "error": answer} if isinstance(answer, str) else {"ok": True, **answer}
        response = SlackResponse(
            client=self,
            http_verb="POST",
            api_url=f"http://127.0.0.1:9/{method}",
            req_args={},
            data=data,
            headers=headers,
            status_code=status,
        )
        if not data["ok"]:
            raise SlackApiError(f"{method} failed", response)  # type: ignore[no-untyped-call]
        return response
