"""Where settings become parts and parts meet: plain constructor calls, no logic.

Every function takes what it builds upon as arguments, so that a test can hand it something else.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from slack_sdk import WebClient
from sqlalchemy import Engine

from bot.core.ids import MeshName, TeamId
from bot.edges.health import Health, HealthServer, Probe
from bot.edges.kube.client import KubeClient
from bot.edges.kube.reader import KubeReader
from bot.edges.kube.writer import KubeWriter
from bot.edges.logs import log_bug
from bot.edges.metrics import CONTENT_TYPE, CountingReader, CountingStore, Metrics
from bot.edges.scheduler.scheduler import BotScheduler
from bot.edges.slack.app import SlackEdge, home_team_of, posting_client, web_client
from bot.edges.slack.directory import SlackDirectory
from bot.edges.slack.faults import fault_of
from bot.edges.slack.poster import Poster
from bot.edges.slack.replies import SlackReplies
from bot.edges.store.engine import looking, open_database
from bot.edges.store.lease import Lease
from bot.edges.store.migrate import require_latest, upgrade
from bot.edges.store.outbox import SqlOutbox
from bot.edges.store.store import SqlStore
from bot.errors import SettingsFault
from bot.flow.advance import Stage, advance
from bot.flow.decide import Court, Rules
from bot.flow.desk import FrontDesk
from bot.flow.look import Looks
from bot.flow.ports import Clock, Keys, MeshPorts, Scheduler, Store
from bot.flow.reception import Reception
from bot.settings import Settings, SlackSettings

Meshes = dict[MeshName, MeshPorts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The database and everything that reads or writes it."""

    engine: Engine
    lease: Lease
    store: Store
    outbox: SqlOutbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """The bot in Slack: what hears, and what tells."""

    edge: SlackEdge
    poster: Poster


def kube_client(settings: Settings, context: str) -> KubeClient:
    """One cluster's client; an empty context is the pod's own cluster, or the kubeconfig's current one.

    Raises:
        ClusterUnreachable: there is no usable kubeconfig, and this is no pod.
    """
    in_a_pod = "KUBERNETES_SERVICE_HOST" in os.environ
    if settings.kubeconfig is None and not context and in_a_pod:
        return KubeClient.in_cluster()
    return KubeClient.from_kubeconfig(settings.kubeconfig, context=context or None)


def connect_meshes(settings: Settings, clock: Clock, *, metrics: Metrics) -> Meshes:
    """A reader and a writer for each configured mesh; meshes of one context share a client.

    Raises:
        ClusterUnreachable: a kubeconfig cannot be used.
    """
    clients = {mesh.context: kube_client(settings, mesh.context) for mesh in settings.meshes}
    return {
        MeshName(mesh.name): MeshPorts(
            name=MeshName(mesh.name),
            reader=CountingReader(
                KubeReader(
                    clients[mesh.context],
                    mesh=MeshName(mesh.name),
                    namespace=mesh.namespace,
                    clock=clock,
                    probe_concurrency=settings.probe_concurrency,
                ),
                metrics,
            ),
            writer=KubeWriter(clients[mesh.context], namespace=mesh.namespace),
        )
        for mesh in settings.meshes
    }


def open_record(
    settings: Settings,
    clock: Clock,
    *,
    metrics: Metrics,
    epoch: Callable[[], int] = lambda: 0,
    on_commit: Callable[[], None] = lambda: None,
) -> Record:
    """The database of the settings, brought up to date.

    Raises:
        StoreError: it cannot be opened, or a newer version has been here.
    """
    engine = open_database(settings.database_url.get_secret_value())
    upgrade(engine)
    return _record(engine, clock, metrics=metrics, epoch=epoch, on_commit=on_commit)


@contextmanager
def look_at_record(settings: Settings, clock: Clock) -> Iterator[Record]:
    """The database of the settings as it is, for who only reads; closed at the end.

    Raises:
        DatabaseAbsent: there is none.
        StoreError: it cannot be read, has not this version's tables, or was written to meanwhile.
    """
    with looking(settings.database_url.get_secret_value()) as engine:
        require_latest(engine)
        yield _record(engine, clock, metrics=Metrics(), epoch=lambda: 0, on_commit=lambda: None)


def _record(
    engine: Engine, clock: Clock, *, metrics: Metrics, epoch: Callable[[], int], on_commit: Callable[[], None]
) -> Record:
    return Record(
        engine=engine,
        lease=Lease(engine),
        store=CountingStore(SqlStore(engine, epoch=epoch, clock=clock, on_commit=on_commit), metrics),
        outbox=SqlOutbox(engine),
    )


def build_stage(
    settings: Settings,
    record: Record,
    meshes: Meshes,
    *,
    clock: Clock,
    keys: Keys,
    fence: Callable[[], None],
) -> Stage:
    """What carries rotations out; `fence` raises NotLeader when this process must not act."""
    return Stage(
        store=record.store,
        meshes=meshes,
        clock=clock,
        keys=keys,
        poll_interval=settings.poll_interval,
        webhook_patience=settings.webhook_patience,
        fence=fence,
    )


def build_scheduler(stage: Stage) -> BotScheduler:
    """What comes back later."""
    return BotScheduler(
        lambda rotation_id: advance(stage, rotation_id), clock=stage.clock, report_bug=log_bug
    )


def slack_client(slack: SlackSettings, *, metrics: Metrics) -> WebClient:
    """The client that listens and looks up, its calls counted."""
    return _counted(web_client(slack.bot_token.get_secret_value(), base_url=slack.api_url), metrics)


def _counted(client: WebClient, metrics: Metrics) -> WebClient:
    counted = metrics.counted(client.api_call, name_of=lambda error: fault_of(error).code)
    client.api_call = counted  # type: ignore[method-assign]
    return client


def build_slack(
    settings: Settings,
    slack: SlackSettings,
    *,
    record: Record,
    meshes: Meshes,
    looks: Looks,
    scheduler: Scheduler,
    metrics: Metrics,
    clock: Clock,
    keys: Keys,
    fence: Callable[[], None],
) -> Voice:
    """Everything that listens and speaks in Slack, not connected yet; `fence` as for `build_voice`.

    Raises:
        SlackError: the bot token is not good, or Slack cannot be reached.
    """
    client = slack_client(slack, metrics=metrics)
    desk = build_desk(
        settings,
        slack,
        client=client,
        home_team=home_team_of(client),
        record=record,
        meshes=meshes,
        looks=looks,
        scheduler=scheduler,
        clock=clock,
        keys=keys,
    )
    return build_voice(
        settings,
        slack,
        client=client,
        desk=desk,
        record=record,
        scheduler=scheduler,
        metrics=metrics,
        clock=clock,
        fence=fence,
    )


def build_desk(
    settings: Settings,
    slack: SlackSettings,
    *,
    client: WebClient,
    home_team: TeamId,
    record: Record,
    meshes: Meshes,
    looks: Looks,
    scheduler: Scheduler,
    clock: Clock,
    keys: Keys,
) -> FrontDesk:
    """What sees to everything that the doors hand over."""
    court = Court(
        store=record.store,
        directory=SlackDirectory(client, slack.approvers, home_team=home_team),
        clock=clock,
        keys=keys,
        rules=Rules(
            decision_channel=slack.channel,
            home_team=home_team,
            approval_lifetime=settings.approval_lifetime,
            start_within=settings.start_within,
            root_lifetime=settings.root_lifetime,
        ),
    )
    return FrontDesk(
        court=court,
        meshes=meshes,
        looks=looks,
        replies=SlackReplies(client),
        scheduler=scheduler,
        report_bug=lambda bug: log_bug("answering a person", bug),
    )


def build_voice(
    settings: Settings,
    slack: SlackSettings,
    *,
    client: WebClient,
    desk: FrontDesk,
    record: Record,
    scheduler: Scheduler,
    metrics: Metrics,
    clock: Clock,
    fence: Callable[[], None],
) -> Voice:
    """The socket and the poster; `fence` raises NotLeader when this process must not tell anything."""
    token = slack.bot_token.get_secret_value()
    impatient = _counted(posting_client(token, base_url=slack.api_url), metrics)
    reception = Reception(
        desk,
        scheduler,
        replies=desk.replies,
        clock=clock,
        channel=slack.channel,
        report_bug=desk.report_bug,
    )
    edge = SlackEdge(
        client,
        slack.app_token.get_secret_value(),
        dialogs=impatient,
        desk=reception,
        scheduler=scheduler,
        replies=desk.replies,
        clock=clock,
        meshes=tuple(desk.meshes),
        lifetime=settings.root_lifetime,
    )
    poster = Poster(
        record.outbox,
        record.store,
        client=impatient,
        channel=slack.channel,
        clock=clock,
        approvers=slack.approvers,
        fence=fence,
    )
    return Voice(edge=edge, poster=poster)


def build_health(
    settings: Settings, metrics: Metrics, *, live: dict[str, Probe], ready: dict[str, Probe]
) -> HealthServer:
    """What Kubernetes and Prometheus ask.

    Raises:
        SettingsFault: nothing can listen at that address.
    """
    address = settings.health_address
    health = Health(live=live, ready=ready, metrics=metrics.exposition, metrics_type=CONTENT_TYPE)
    try:
        return HealthServer(health, host=address.host, port=address.port)
    except OSError as error:
        raise SettingsFault(
            f"nothing can listen at {address.host}:{address.port}: {error.strerror or error}",
            hint="Set ROOTKEEPER_HEALTH_ADDRESS to a free port of this machine; port 0 takes any.",
        ) from None
