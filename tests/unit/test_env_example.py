"""`.env.example` says of every setting what its field says.

`python -m tests.unit.test_env_example` writes it anew.
"""

import textwrap
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

from bot.settings import Settings, load_settings, variable

EXAMPLE = Path(__file__).parents[2] / ".env.example"
HEAD = """\
# Copy this to .env and fill it. An empty line means the default; the environment wins over this file.
# `rootkeeper doctor` tests all of it.
"""


def expected() -> str:
    blocks = (block(name, field) for name, field in Settings.model_fields.items())
    return "\n".join([HEAD, *blocks])


def block(name: str, field: FieldInfo) -> str:
    (shown,) = field.examples or [""]
    example = f" Example: {shown}" if str(field.default) != shown else ""
    comment = textwrap.wrap(f"{field.description}{example}", width=98, break_on_hyphens=False)
    value = field.default if field.default is not None else ""
    # quoted, because # and spaces mean something to some readers of such files
    written = f'"{value}"' if " " in str(value) else value
    return "\n".join([*(f"# {line}" for line in comment), f"{variable(name)}={written}", ""])


def test_every_setting_has_its_line_with_description_and_default() -> None:
    assert EXAMPLE.read_text() == expected()


def test_the_example_as_it_stands_gives_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)

    assert load_settings(EXAMPLE) == load_settings()


if __name__ == "__main__":
    EXAMPLE.write_text(expected())
