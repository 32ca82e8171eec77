"""Settings: read from text, told all at once when wrong, never showing a secret."""

import traceback
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.core.intent import MAX_LIFETIME, MIN_LIFETIME, NotUnderstood, read_lifetime
from bot.errors import SettingsFault
from bot.settings import Settings, load_settings, variable
from bot.settings_text import Address, MeshSetting, duration

BOT = "xoxb-1-2-secretsecret"
APP = "xapp-1-A-secretsecret"


@pytest.fixture(autouse=True)
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` and no variable of ours but what a test sets."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


def settings_from(tmp_path: Path, text: str, *, for_slack: bool = False) -> Settings:
    file = tmp_path / "some.env"
    file.write_text(text)
    return load_settings(file, for_slack=for_slack)


def faults_of(tmp_path: Path, text: str, *, for_slack: bool = False) -> list[str]:
    with pytest.raises(SettingsFault) as raised:
        settings_from(tmp_path, text, for_slack=for_slack)
    return [line.strip() for line in raised.value.message.splitlines()[1:]]


def test_without_any_setting_a_check_in_a_terminal_has_all_it_needs() -> None:
    settings = load_settings()

    assert settings.meshes == (MeshSetting(name="mesh", context="", namespace="istio-system"),)
    assert settings.time_zone == ZoneInfo("UTC")
    assert settings.approval_lifetime == timedelta(hours=1)
    assert settings.root_lifetime == timedelta(days=3650)
    assert settings.health_address == Address(host="127.0.0.1", port=8080)
    assert settings.database_url.get_secret_value() == "sqlite:///var/rootkeeper.db"
    assert settings.approvers == ()


def test_what_is_written_is_parsed(tmp_path: Path) -> None:
    settings = settings_from(
        tmp_path,
        f"""
        ROOTKEEPER_SLACK_BOT_TOKEN="{BOT}"
        ROOTKEEPER_SLACK_APP_TOKEN={APP}
        ROOTKEEPER_SLACK_API_URL=http://127.0.0.1:4000/api
        ROOTKEEPER_CHANNEL=C0123ABCD   # the operators
        ROOTKEEPER_APPROVERS=U1AA, W2BB ,S3CC,U1AA
        ROOTKEEPER_MESHES=prod=arn:aws:eks:eu-west-1:1:cluster/prod/istio-system, stage=/istio
        ROOTKEEPER_KUBECONFIG=/somewhere/config
        ROOTKEEPER_CHECK_SCHEDULE=*/5  8-18 1,15 JAN-jun mon-fri
        ROOTKEEPER_TIME_ZONE=Europe/Berlin
        ROOTKEEPER_POLL_INTERVAL=0.5s
        ROOTKEEPER_HEALTH_ADDRESS=[::]:0
        ROOTKEEPER_LOG_LEVEL=DEBUG
        """,
    )

    assert settings.require_slack().api_url == "http://127.0.0.1:4000/api/"
    assert settings.require_slack().bot_token.get_secret_value() == BOT
    assert settings.approvers == ("U1AA", "W2BB", "S3CC")
    assert settings.meshes == (
        MeshSetting(name="prod", context="arn:aws:eks:eu-west-1:1:cluster/prod", namespace="istio-system"),
        MeshSetting(name="stage", context="", namespace="istio"),
    )
    assert settings.kubeconfig == Path("/somewhere/config")
    assert settings.check_schedule == "*/5 8-18 1,15 jan-jun mon-fri"
    assert settings.time_zone == ZoneInfo("Europe/Berlin")
    assert settings.poll_interval == timedelta(milliseconds=500)
    assert settings.health_address == Address(host="::", port=0)
    assert settings.log_level == "debug"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOTKEEPER_CHANNEL", " C0ENVIRONMENT\n")

    settings = settings_from(tmp_path, "ROOTKEEPER_CHANNEL=C0FILE\nROOTKEEPER_LOG_FORMAT=json")

    assert (settings.channel, settings.log_format) == ("C0ENVIRONMENT", "json")


def test_an_empty_line_is_a_setting_that_was_not_made(tmp_path: Path) -> None:
    settings = settings_from(tmp_path, "ROOTKEEPER_KUBECONFIG=\nROOTKEEPER_POLL_INTERVAL=")

    assert settings.kubeconfig is None
    assert settings.poll_interval == timedelta(seconds=5)


def test_every_fault_is_told_at_once_with_its_variable_and_an_example(tmp_path: Path) -> None:
    faults = faults_of(
        tmp_path,
        """
        ROOTKEEPER_SLACK_BOT_TOKEN=xapp-1
        ROOTKEEPER_CHANNEL=#operators
        ROOTKEEPER_POLL_INTERVAL=5
        ROOTKEEPER_PROBE_CONCURRENCY=900
        ROOTKEEPER_APROVERS=U1AA
        """,
        for_slack=True,
    )

    by_variable = dict(fault.split(":", 1) for fault in faults)
    assert set(by_variable) == {
        "ROOTKEEPER_SLACK_BOT_TOKEN",
        "ROOTKEEPER_SLACK_APP_TOKEN",
        "ROOTKEEPER_CHANNEL",
        "ROOTKEEPER_POLL_INTERVAL",
        "ROOTKEEPER_PROBE_CONCURRENCY",
        "ROOTKEEPER_APPROVERS",
        "ROOTKEEPER_APROVERS",
    }
    assert "belongs into ROOTKEEPER_SLACK_APP_TOKEN" in by_variable["ROOTKEEPER_SLACK_BOT_TOKEN"]
    assert by_variable["ROOTKEEPER_SLACK_APP_TOKEN"] == " is not set (example: xapp-…)"
    assert "(example: 5s)" in by_variable["ROOTKEEPER_POLL_INTERVAL"]
    assert by_variable["ROOTKEEPER_APROVERS"] == " is no setting; ROOTKEEPER_APPROVERS is"


WRONG = {
    "a bot token as the app token": ("SLACK_APP_TOKEN=xoxb-1", "belongs into ROOTKEEPER_SLACK_BOT_TOKEN"),
    "a token that expires": ("SLACK_BOT_TOKEN=xoxe.xoxb-1", "switch token rotation off"),
    "a person's token": ("SLACK_BOT_TOKEN=xoxp-1", "is not a bot token"),
    "an unencrypted address": ("SLACK_API_URL=http://slack.com/api", "use https"),
    "an address that is none": ("SLACK_API_URL=slack.com", "is not an http(s) address"),
    "a direct message as channel": ("CHANNEL=D0123", "is not a channel id"),
    "a person's name": ("APPROVERS=U1AA,@ben", "'@ben', which is no id"),
    "a mesh without a place": ("MESHES=prod", "'prod', which is not name=context/namespace"),
    "a mesh without a namespace": ("MESHES=prod=eu", "which is not name=context/namespace"),
    "a mesh with a shouted name": ("MESHES=PROD=eu/istio-system", "a name is lower-case"),
    "a namespace that cannot be": ("MESHES=prod=eu/Istio_System", "which cannot be a namespace"),
    "a mesh's name twice": ("MESHES=a=x/i,a=y/i", "the name 'a' twice"),
    "one mesh under two names": ("MESHES=a=x/i,b=x/i", "the place 'x/i' twice"),
    "no mesh at all": ("MESHES=,", "at least 1 item"),
    "a database in memory": ("DATABASE_URL=sqlite:///:memory:", "is not sqlite:///"),
    "another database": ("DATABASE_URL=postgresql://u:p@h/d", "is not sqlite:///"),
    "a cron expression of six fields": ("CHECK_SCHEDULE=0 0 9 * * *", "has 6 fields"),
    "an hour that does not exist": ("CHECK_SCHEDULE=0 24 * * *", "'24' as its hour"),
    "a day that does not exist": ("CHECK_SCHEDULE=0 9 0 * *", "'0' as its day of month"),
    "a step of nothing": ("CHECK_SCHEDULE=*/0 9 * * *", "'*/0' as its minute"),
    "a range the wrong way round": ("CHECK_SCHEDULE=0 9 * * fri-mon", "'fri-mon' as its day of week"),
    "a time zone that does not exist": ("TIME_ZONE=Europe/Bonn", "'Europe/Bonn', which is not the name"),
    "a time zone that is a path": ("TIME_ZONE=../../etc/passwd", "which is not the name"),
    "a duration without a unit": ("APPROVAL_LIFETIME=60", "followed by s, m, h or d"),
    "a duration below zero": ("APPROVAL_LIFETIME=-1h", "followed by s, m, h or d"),
    "an approval that lives for ever": ("APPROVAL_LIFETIME=365d", "between 1m and 7d"),
    "no probes at all": ("PROBE_CONCURRENCY=0", "greater than or equal to 1"),
    "an address without a port": ("HEALTH_ADDRESS=127.0.0.1", "is not host:port"),
    "a port that cannot be": ("HEALTH_ADDRESS=127.0.0.1:70000", "is not host:port"),
    "a level that does not exist": ("LOG_LEVEL=loud", "'debug', 'info', 'warning' or 'error'"),
}


@pytest.mark.parametrize(("line", "told"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_value_is_told(tmp_path: Path, line: str, told: str) -> None:
    (fault,) = faults_of(tmp_path, "ROOTKEEPER_" + line)

    assert fault.startswith("ROOTKEEPER_" + line.split("=", maxsplit=1)[0])
    assert told in fault


def test_a_variable_that_kubernetes_makes_of_a_service_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOTKEEPER_SERVICE_HOST", "10.96.0.7")

    assert load_settings().channel is None


def test_a_nearly_right_variable_in_the_environment_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOTKEEPER_APPROVER", "U1AA")

    with pytest.raises(SettingsFault, match="ROOTKEEPER_APPROVERS is"):
        load_settings()


def test_a_file_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsFault, match="no such file"):
        load_settings(tmp_path / "absent.env")


@pytest.mark.parametrize("asked", [True, False])
def test_a_file_that_may_not_be_looked_at_is_told_and_not_called_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, asked: bool
) -> None:
    def shut(_path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied")  # the tests may run as root, who may

    monkeypatch.setattr(Path, "stat", shut)

    with pytest.raises(SettingsFault, match=rf"{tmp_path}/\.env: cannot be read: Permission denied"):
        load_settings(tmp_path / ".env" if asked else None)


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "some.env").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(SettingsFault, match="is not UTF-8 text"):
        load_settings(tmp_path / "some.env")


IN_A_NAMESPACE = (
    "ROOTKEEPER_MESHES: has a mesh in 'istio\\nROOTKEEPER_CHANNEL=', which cannot be a namespace "
    "(example: prod=prod-eu/istio-system,stage=stage-eu/istio-system)"
)
QUOTE = "cannot be read: is a quote not closed, or a = missing?"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('# mine\n\nROOTKEEPER_MESHES="prod=eu/istio-system\n', [f"line 3: ROOTKEEPER_MESHES {QUOTE}"]),
        # The next quote in the file would close it, and two settings would become one value.
        (
            'ROOTKEEPER_MESHES="prod=eu/istio\nROOTKEEPER_CHANNEL="C0123ABCD"\n',
            [f"lines 1 to 2: ROOTKEEPER_MESHES {QUOTE}"],
        ),
        (
            'ROOTKEEPER_MESHES="prod=eu/istio\nROOTKEEPER_CHANNEL="\n',
            [
                f"lines 1 to 2: ROOTKEEPER_MESHES {QUOTE}",
                IN_A_NAMESPACE,
            ],
        ),
        ("ROOTKEEPER_MESHES\n", ["line 1: ROOTKEEPER_MESHES has no ="]),
        ("ROOTKEEPER_MESHES prod=eu/istio-system\n", [f"line 1: ROOTKEEPER_MESHES {QUOTE}"]),
        ("ROOTKEEPER_APPROVERS=U0ANNA,\n  U0BEN\n", ["line 2: has no ="]),
        ("xoxb-1-2-\nsecretsecret\n", ["line 1: has no =", "line 2: has no ="]),
        ("export rootkeeper_log_level 'debug'\n", [f"line 1: ROOTKEEPER_LOG_LEVEL {QUOTE}"]),
    ],
)
def test_a_line_that_cannot_be_read_is_told_by_its_number(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, told: list[str]
) -> None:
    faults = faults_of(tmp_path, text)

    assert [fault.removeprefix(f"{tmp_path / 'some.env'}, ") for fault in faults] == told
    assert caplog.text == ""


def test_a_line_that_cannot_be_read_stands_among_all_other_faults_and_is_not_called_missing(
    tmp_path: Path,
) -> None:
    text = f"ROOTKEEPER_SLACK_BOT_TOKEN='{BOT}\nROOTKEEPER_POLL_INTERVAL=never\nROOTKEEPER_CHANEL=C0\n"

    faults = "\n".join(faults_of(tmp_path, text, for_slack=True))

    assert f"line 1: ROOTKEEPER_SLACK_BOT_TOKEN {QUOTE}" in faults
    assert "ROOTKEEPER_SLACK_BOT_TOKEN: is not set" not in faults
    assert all(name in faults for name in ("POLL_INTERVAL", "CHANEL", "SLACK_APP_TOKEN: is not set"))
    assert "secretsecret" not in faults


def test_a_setting_with_two_values_is_told_and_an_empty_line_is_none(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    lines = [
        "ROOTKEEPER_CHANNEL=",
        "ROOTKEEPER_CHANNEL=C0MESH",
        "ROOTKEEPER_TIME_ZONE=Europe/Berlin",
        "rootkeeper_time_zone=UTC",
    ]
    file.write_text("\n".join([*lines, "OTHER=1", "OTHER=2"]))

    with pytest.raises(SettingsFault) as fault:
        load_settings(file)

    assert fault.value.message.splitlines()[1:] == [
        f"  {file}, ROOTKEEPER_TIME_ZONE: is set more than once; join the values"
    ]


DROPPED = {
    "a full one, then an empty one": "ROOTKEEPER_MESHES=prod=a/b\nROOTKEEPER_MESHES=",
    "a list that goes on without quotes": "ROOTKEEPER_MESHES=prod=a/b,\nstage=c/d",
}


@pytest.mark.parametrize("text", DROPPED.values(), ids=DROPPED)
def test_no_mesh_of_the_file_is_left_out_in_silence(tmp_path: Path, text: str) -> None:
    file = tmp_path / ".env"
    file.write_text(text)

    with pytest.raises(SettingsFault, match="ROOTKEEPER_MESHES: "):
        load_settings(file)


def test_a_comma_at_the_end_of_a_list_is_no_fault(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        'ROOTKEEPER_MESHES="prod=a/b,\nstage=c/d,"\nROOTKEEPER_APPROVERS=U0ANNA,U0BEN,\nOTHER=1\n'
    )

    assert [mesh.name for mesh in load_settings(file).meshes] == ["prod", "stage"]


def test_a_list_may_stand_on_several_lines_in_quotes(tmp_path: Path) -> None:
    text = 'ROOTKEEPER_MESHES="prod=a/istio-system,\nstage=b/istio-system"\n'

    assert [mesh.name for mesh in settings_from(tmp_path, text).meshes] == ["prod", "stage"]


def test_what_belongs_to_others_in_the_same_file_is_left_to_them(tmp_path: Path) -> None:
    settings = settings_from(tmp_path, 'OTHER="two\nlines"\n# it\'s mine\nROOTKEEPER_LOG_LEVEL=debug\n')

    assert settings.log_level == "debug"


@pytest.mark.parametrize("line", ["HTTPS_PROXY", "https_proxy", "no_proxy", "export SSL_CERT_FILE", "PATH"])
def test_the_name_alone_of_a_variable_of_others_is_left_to_the_environment(tmp_path: Path, line: str) -> None:
    settings = settings_from(tmp_path, f"{line}\nROOTKEEPER_LOG_LEVEL=debug\n")

    assert settings.log_level == "debug"


@pytest.mark.parametrize("lifetime", ["89d", "1h", "7301d"])
def test_a_new_root_lives_as_long_as_a_request_may_ask_for(tmp_path: Path, lifetime: str) -> None:
    text = "ROOTKEEPER_ROOT_LIFETIME="
    bounds = {
        settings_from(tmp_path, f"{text}{end.days}d").root_lifetime for end in (MIN_LIFETIME, MAX_LIFETIME)
    }

    assert bounds == {MIN_LIFETIME, MAX_LIFETIME}
    assert isinstance(read_lifetime(lifetime), NotUnderstood)
    assert "must lie between 90d and 7300d" in faults_of(tmp_path, text + lifetime)[0]


def test_run_names_everything_of_slack_that_is_missing(tmp_path: Path) -> None:
    settings = settings_from(tmp_path, "ROOTKEEPER_CHANNEL=C0123")

    with pytest.raises(SettingsFault) as raised:
        settings.require_slack()

    told = [line.split(":")[0].strip() for line in raised.value.message.splitlines()[1:]]
    assert told == ["ROOTKEEPER_SLACK_BOT_TOKEN", "ROOTKEEPER_SLACK_APP_TOKEN", "ROOTKEEPER_APPROVERS"]


def test_no_secret_is_shown_by_settings_or_their_faults(tmp_path: Path) -> None:
    settings = settings_from(tmp_path, f"ROOTKEEPER_SLACK_BOT_TOKEN={BOT}\nROOTKEEPER_SLACK_APP_TOKEN={APP}")
    shown = f"{settings!r} {settings} {settings.model_dump()}"
    with pytest.raises(SettingsFault) as raised:
        settings_from(
            tmp_path,
            f"ROOTKEEPER_SLACK_BOT_TOKEN={APP}\nROOTKEEPER_APPROVERS={BOT}\nROOTKEEPER_MESHES={BOT}",
        )
    shown += "".join(traceback.format_exception(raised.value))

    assert "secretsecret" not in shown


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90s", timedelta(seconds=90)),
        ("5m", timedelta(minutes=5)),
        ("1.5h", timedelta(minutes=90)),
        ("3650d", timedelta(days=3650)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, meant: timedelta) -> None:
    assert duration(text) == meant
