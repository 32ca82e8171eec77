"""The Bolt app and its Socket Mode connection.

Bolt's built-in client with a ping every three seconds is the one that notices a dead socket soonest
without further libraries (facts/slack.md, 2). Its `is_connected()` says yes for minutes into a dead
link, so readiness is the age of the last pong.
"""

import logging
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import structlog
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_bolt.error import BoltError
from slack_sdk import WebClient
from slack_sdk.http_retry.builtin_handlers import (
    ConnectionErrorRetryHandler,
    RateLimitErrorRetryHandler,
    ServerErrorRetryHandler,
)
from slack_sdk.socket_mode import SocketModeClient

from bot.core.ids import MeshName, TeamId
from bot.edges.slack.faults import SLACK_TROUBLE, Kind, fault_of
from bot.edges.slack.listeners import Listeners
from bot.errors import SlackError
from bot.flow.ports import Clock, Desk, Replies, Scheduler

SLACK_API = "https://slack.com/api/"
PING_INTERVAL = timedelta(seconds=3)
STALE_AFTER = 4 * PING_INTERVAL
RECONNECT_AFTER = timedelta(seconds=5)
LISTENER_THREADS = 20
"""Headroom over Bolt's five: each listener only acks and hands over, but views.open waits for Slack."""
_CALL_TIMEOUT = 10
"""Seconds; SDK's default of 30 would hold a worker too long at a click."""

_log = structlog.get_logger(__name__)


def web_client(token: str, *, base_url: str = SLACK_API) -> WebClient:
    """For asking: sleeps through rate limits in the calling thread, so never in an ack's way."""
    return WebClient(
        token,
        base_url=base_url.rstrip("/") + "/",
        timeout=_CALL_TIMEOUT,
        retry_handlers=[
            ConnectionErrorRetryHandler(max_retry_count=1),
            RateLimitErrorRetryHandler(max_retry_count=3),
            ServerErrorRetryHandler(max_retry_count=1),
        ],
    )


def posting_client(token: str, *, base_url: str = SLACK_API) -> WebClient:
    """For posts and dialogs: never sleeps and never repeats by itself.

    A repeat could post twice, and a trigger is dead before a wait is over.
    """
    return WebClient(token, base_url=base_url.rstrip("/") + "/", timeout=_CALL_TIMEOUT, retry_handlers=[])


def home_team_of(client: WebClient) -> TeamId:
    """Ask Slack in which workspace this bot is at home.

    Raises:
        SlackError: the token is not good, or Slack cannot be reached.
    """
    try:
        answer = client.auth_test()
    except SLACK_TROUBLE as error:
        raise _translated("Slack did not take the bot token", error) from None
    return TeamId(str(answer.get("team_id") or ""))


def _translated(what: str, error: Exception) -> SlackError:
    fault = fault_of(error)
    hint = fault.hint or "Check the network between Rootkeeper and Slack."
    passing = fault.kind in (Kind.PASSING, Kind.PACED, Kind.REFUSED)
    retry_after = (fault.retry_after or RECONNECT_AFTER) if passing else None
    return SlackError(f"{what}: {fault.code}", hint=hint, retry_after=retry_after)


def build_app(client: WebClient, listeners: Listeners, *, executor: ThreadPoolExecutor) -> App:
    """The Bolt app with every door in it.

    Raises:
        SlackError: Slack does not take the token.
    """
    try:
        app = App(
            client=client,
            listener_executor=executor,
            token_verification_enabled=True,  # one auth.test now, none in an ack's way later
            request_verification_enabled=False,  # Socket Mode: the socket itself is authenticated
            ssl_check_enabled=False,
            url_verification_enabled=False,
            logger=logging.getLogger("slack_bolt"),
        )
    except (BoltError, *SLACK_TROUBLE) as error:
        raise _translated("Slack did not take the bot token", error) from None
    listeners.register(app)
    return app


def _quieten() -> None:
    """The libraries' debug logs repeat whole payloads: what people type must not get there."""
    for name in ("slack_bolt", "slack_sdk"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.INFO))


def _send_at_once(client: SocketModeClient) -> None:
    """Acks are small: without this the second of two waits until the first is confirmed, 40 ms or a round trip."""
    connect = client.connect

    def connect_and_set() -> None:
        connect()
        session = client.current_session
        if session is not None and session.sock is not None:
            session.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    client.connect = connect_and_set  # type: ignore[method-assign]


class SlackEdge:
    """The bot's ears in Slack: built once, connected, closed once."""

    def __init__(
        self,
        client: WebClient,
        app_token: str,
        *,
        dialogs: WebClient,
        desk: Desk,
        scheduler: Scheduler,
        replies: Replies,
        clock: Clock,
        meshes: Sequence[MeshName],
        lifetime: timedelta,
    ) -> None:
        _quieten()
        self._clock = clock
        self._executor = ThreadPoolExecutor(LISTENER_THREADS, thread_name_prefix="slack-listener")
        listeners = Listeners(
            desk, scheduler, client=dialogs, replies=replies, clock=clock, meshes=meshes, lifetime=lifetime
        )
        self.app = build_app(client, listeners, executor=self._executor)
        self._handler = SocketModeHandler(
            self.app, app_token, web_client=client, ping_interval=PING_INTERVAL.total_seconds()
        )
        _send_at_once(self._handler.client)

    def connect(self) -> None:
        """Open the socket; from then on Slack's deliveries arrive.

        Raises:
            SlackError: the app token is not good, Socket Mode is off, or Slack cannot be reached.
        """
        try:
            self._handler.connect()  # type: ignore[no-untyped-call]
        except SLACK_TROUBLE as error:
            raise _translated("Slack did not open a Socket Mode connection", error) from None
        _log.info("socket connected")

    def pong_age(self) -> timedelta | None:
        """How long ago Slack last answered a ping on the present socket; None before the first."""
        session = self._handler.client.current_session
        if session is None or session.last_ping_pong_time is None:
            return None
        return timedelta(seconds=self._clock.now().timestamp() - session.last_ping_pong_time)

    def is_ready(self) -> bool:
        """Whether deliveries arrive now."""
        age = self.pong_age()
        return age is not None and age < STALE_AFTER

    def close(self, within: timedelta = timedelta(seconds=5)) -> None:
        """Take nothing more; gives up waiting for Slack's side after `within`."""
        closing = threading.Thread(target=self._close, name="slack-close", daemon=True)
        closing.start()
        closing.join(within.total_seconds())
        self._executor.shutdown(wait=False, cancel_futures=True)
        _log.info("socket closed", in_time=not closing.is_alive())

    def _close(self) -> None:
        try:
            self._handler.close()  # type: ignore[no-untyped-call]
        except SLACK_TROUBLE as error:
            _log.warning("socket not closed cleanly", fault=fault_of(error).code)
