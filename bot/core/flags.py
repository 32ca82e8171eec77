"""Reads a container's command line as Go's pflag does, which every Istio component is built on."""

from bot.core.mesh import Container

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
"""What Go's strconv.ParseBool takes; anything else stops the process at its start."""


def text_flag(container: Container, name: str) -> str:
    """The value of `--name=value` or `--name value`, the last one given; empty when there is none."""
    value = ""
    for position, argument in enumerate(container.arguments):
        if argument.startswith(f"--{name}="):
            value = argument.partition("=")[2]
        elif argument == f"--{name}":
            value = next(iter(container.arguments[position + 1 :]), "")
    return value


def switch(container: Container, name: str) -> bool | None:
    """The value of `--name` or `--name=value`, the last one given; None when absent or no truth value.

    A switch never takes the next word: `--name false` switches it on.
    """
    value = None
    for argument in container.arguments:
        if argument == f"--{name}":
            value = True
        elif argument.startswith(f"--{name}="):
            value = truth(argument.partition("=")[2])
    return value


def truth(text: str) -> bool | None:
    """As strconv.ParseBool; None for what it does not take."""
    return True if text in _TRUE else False if text in _FALSE else None


def variable(container: Container, name: str) -> str:
    """An environment variable's value; empty when absent or taken from somewhere else."""
    return next((value or "" for each, value in container.environment if each == name), "")


def from_elsewhere(container: Container, name: str) -> bool:
    """Whether an environment variable is there and its value, taken from somewhere else, is not known."""
    return (name, None) in container.environment
