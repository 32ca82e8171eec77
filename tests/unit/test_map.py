"""The map at the top of the package names every room, once."""

import re
from pathlib import Path

import bot

PACKAGE = Path(bot.__file__).parent
ROOMS = (PACKAGE, PACKAGE / "core", PACKAGE / "flow", PACKAGE / "edges")


def rooms() -> list[str]:
    found = [path for folder in ROOMS for path in folder.iterdir()]
    modules = [path.stem for path in found if path.suffix == ".py" and not path.stem.startswith("__")]
    packages = [path.name for path in found if (path / "__init__.py").exists()]
    return sorted(modules + packages)


def test_the_map_names_every_module_and_package() -> None:
    words = set(re.findall(r"\w+", bot.__doc__ or ""))

    assert [room for room in rooms() if room not in words] == []


def test_the_map_names_nothing_that_is_gone() -> None:
    named: list[str] = []
    for line in (bot.__doc__ or "").splitlines():
        if listed := re.match(r"(?:  )?((?:\w+, )*\w+)(?:  |$)", line):
            named += listed[1].split(", ")

    assert len(named) > 30
    assert [name for name in named if name not in rooms()] == []
