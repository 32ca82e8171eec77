"""`rootkeeper doctor`: everything that can be wrong before anybody needs the bot, and what to do about each.

Each edge examines itself; here they are asked in turn, so that one that is down hides no other.
"""

from bot import bootstrap
from bot.core.findings import Finding, Severity, Verdict
from bot.core.wording import count
from bot.edges.kube import examine as cluster
from bot.edges.metrics import Metrics
from bot.edges.slack import examine as slack_edge
from bot.edges.store.audit import verify_chain
from bot.edges.store.engine import why_not_made
from bot.edges.system import SystemClock
from bot.errors import DatabaseAbsent, RootkeeperError
from bot.settings import Settings
from bot.settings_text import MeshSetting


def examine_all(settings: Settings) -> tuple[Finding, ...]:
    """Settings, Slack, every mesh's cluster, the database."""
    clusters = [finding for mesh in settings.meshes for finding in _cluster(settings, mesh)]
    return (*_slack(settings), *clusters, _database(settings))


def _slack(settings: Settings) -> tuple[Finding, ...]:
    try:
        slack = settings.require_slack()
    except RootkeeperError as fault:
        return (_broken("doctor.settings", fault),)
    return (
        _fine("doctor.settings", "every setting that `run` needs is there"),
        *slack_edge.examine(
            bootstrap.slack_client(slack, metrics=Metrics()),
            slack.app_token.get_secret_value(),
            channel=slack.channel,
            approvers=slack.approvers,
        ),
    )


def _cluster(settings: Settings, mesh: MeshSetting) -> tuple[Finding, ...]:
    try:
        client = bootstrap.kube_client(settings, mesh.context)
    except RootkeeperError as fault:
        return (_broken("doctor.cluster.reachable", fault),)
    return cluster.examine(client, mesh.namespace, clock=SystemClock())


def _database(settings: Settings) -> Finding:
    try:
        with bootstrap.look_at_record(settings, SystemClock()) as record:
            verdict = verify_chain(record.engine)
    except DatabaseAbsent as fault:
        if obstacle := why_not_made(settings.database_url.get_secret_value()):
            return Finding(
                check_id="doctor.database",
                verdict=Verdict.NOT_OK,
                severity=Severity.CRITICAL,
                summary=f"{fault.message}, and none can be made: {obstacle}",
                hint="Its directory must exist or be makeable, belong to the bot's user and allow writing.",
            )
        # Before its first start that is as it should be; afterwards it is a wrong address.
        return Finding(
            check_id="doctor.database",
            verdict=Verdict.SKIPPED,
            severity=Severity.WARNING,
            summary=f"{fault.message} yet",
            hint="`rootkeeper run` makes it, if it can: nothing was made to find out. "
            "If the bot has run before, mend ROOTKEEPER_DATABASE_URL.",
        )
    except RootkeeperError as fault:
        return _broken("doctor.database", fault)
    if verdict.intact:
        rows = f"is intact, {count(verdict.rows, 'row')}" if verdict.rows else "has no rows yet"
        return _fine("doctor.database", f"the database is up to date; its audit record {rows}")
    return Finding(
        check_id="doctor.database",
        verdict=Verdict.NOT_OK,
        severity=Severity.CRITICAL,
        summary=f"the audit record is broken at row {verdict.broken_at}: {verdict.reason}",
        hint="Somebody changed the database beside the bot. Keep the file, find out who, restore a backup.",
    )


def _fine(check_id: str, summary: str) -> Finding:
    return Finding(check_id=check_id, verdict=Verdict.OK, severity=Severity.WARNING, summary=summary)


def _broken(check_id: str, fault: RootkeeperError) -> Finding:
    """What is wrong; of several things each in its line."""
    lead, *each = fault.message.splitlines()
    return Finding(
        check_id=check_id,
        verdict=Verdict.NOT_OK,
        severity=Severity.CRITICAL,
        summary=lead.removesuffix(":"),
        hint=fault.hint,
        offenders=tuple(line.strip() for line in each),
    )
