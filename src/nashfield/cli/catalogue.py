"""`nashfield games` and `nashfield solvers`: what there is."""

import argparse
import inspect
import json
import re
import textwrap
from typing import Any


def main(args: argparse.Namespace) -> int:
    """Prints a line for each game or solver, or all of one, or JSON."""
    from nashfield.games.listing import describe
    from nashfield.parameters import parameters_of, parts_of
    from nashfield.registry import GAMES, SOLVERS, find

    kind = args.command.removesuffix("s")
    table = GAMES if kind == "game" else SOLVERS
    if args.name is not None:
        cls = find(table, args.name, kind)
        entry = describe(cls)
        meanings = parameter_meanings(cls)
        for parameter, listed in zip(parameters_of(cls), entry["parameters"], strict=True):
            listed["meaning"] = meanings.get(parameter.name)
            if parameter.part is not None:
                listed["choices"] = sorted(parts_of(parameter.part))
        print(json.dumps(entry) if args.json else _page(cls, entry))
        return 0
    entries = [describe(find(table, name, kind)) for name in sorted(table)]
    if args.json:
        print(json.dumps(entries))
        return 0
    width = max(len(entry["name"]) for entry in entries)
    for entry in entries:
        parameters = ", ".join(map(_parameter, entry["parameters"]))
        timeless = " (stationary)" if entry["kind"] == "stationary" else ""
        print(
            f"{entry['name']:{width}}  {entry['summary']}{timeless}"
            + (parameters and f" [{parameters}]")
        )
    return 0


def parameter_meanings(cls: type) -> dict[str, str]:
    """What docstrings say of the parameters of `cls`, by name.

    Looked up under Attributes and Args of the class, its constructor, and then its bases.
    """
    meanings: dict[str, str] = {}
    kept_as = getattr(cls, "kept_as", {})
    for base in cls.__mro__[:-1]:
        own = vars(base)
        for text in (own.get("__doc__"), getattr(own.get("__init__"), "__doc__", None)):
            for name, meaning in _entries(inspect.cleandoc(text or "")):
                # What a class only refers to is said by one of its bases.
                if not re.fullmatch(r"see `\w+`\.", meaning):
                    meanings.setdefault(name, meaning)
    # A method may bear the name of a parameter, which is then kept under another one.
    return meanings | {name: meanings[k] for name, k in kept_as.items() if k in meanings}


def _entries(text: str) -> list[tuple[str, str]]:
    """The names under Attributes and Args of a docstring, each with its text."""
    found: list[tuple[str, str]] = []
    within = False
    for line in text.splitlines():
        if line and not line.startswith(" "):
            within = line in ("Attributes:", "Args:")
        elif within and (match := re.fullmatch(r" {4}(\w+): (.*)", line)):
            found.append((match[1], match[2]))
        elif within and line.strip() and found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
    return found


def _page(cls: type, entry: dict[str, Any]) -> str:
    """All that is known of one game or solver."""
    story = inspect.cleandoc(cls.__doc__ or "").partition("\nAttributes:")[0].strip()
    lines = [f"{entry['name']} ({entry['kind']})", "", *story.splitlines()]
    if entry["parameters"]:
        lines += ["", "parameters:"]
    for parameter in entry["parameters"]:
        lines.append(f"  {_parameter(parameter)}")
        if parameter.get("choices"):
            lines.append(_indented(f"one of {', '.join(map(str, parameter['choices']))}"))
        if parameter["meaning"]:
            lines.append(_indented(parameter["meaning"]))
        if parts := _parts(parameter):
            settings = ", ".join(f"{name}={_text(value)}" for name, value in parts.items())
            lines.append(_indented(f"{parameter['name']}.NAME=VALUE sets: {settings}"))
    return "\n".join(lines)


def _indented(text: str) -> str:
    return textwrap.fill(text, 100, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _parameter(parameter: dict) -> str:
    name = parameter["name"]
    return f"{name}={_text(parameter['default'])}" if "default" in parameter else name


def _parts(parameter: dict) -> dict[str, Any]:
    """Parameters of the part that is there by default."""
    default = parameter.get("default")
    return default["parameters"] if isinstance(default, dict) else {}


def _text(value: Any) -> str:
    """A default as the command line takes it."""
    if isinstance(value, dict):
        return str(value["name"])
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return str(value)
