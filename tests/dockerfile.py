"""Reads a Dockerfile far enough to hold it to rules and to run its commands elsewhere."""

import re
from dataclasses import dataclass
from pathlib import Path

DOCKERFILE = Path(__file__).parents[1] / "Dockerfile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction of a Dockerfile."""

    word: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage: what it begins with, and its instructions in order."""

    base: str
    name: str
    instructions: tuple[Instruction, ...]

    def all(self, word: str) -> list[str]:
        """The texts of every instruction of one word."""
        return [instruction.text for instruction in self.instructions if instruction.word == word]


def stages() -> tuple[Stage, ...]:
    """The stages of our Dockerfile."""
    found: list[Stage] = []
    for instruction in _instructions(DOCKERFILE.read_text()):
        if instruction.word == "FROM":
            base, _, name = re.split(r"( AS )", instruction.text + " AS ", maxsplit=1)
            found.append(Stage(base=base, name=name.removesuffix(" AS "), instructions=()))
        else:
            last = found.pop()
            grown = (*last.instructions, instruction)
            found.append(Stage(base=last.base, name=last.name, instructions=grown))
    return tuple(found)


def _instructions(text: str) -> list[Instruction]:
    lines = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    split = [line.split(maxsplit=1) for line in lines if line.strip()]
    return [Instruction(word=word, text=re.sub(r"\s+", " ", rest).strip()) for word, rest in split]
