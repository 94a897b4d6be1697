"""What a listing says of games and solvers."""

import re
from typing import Any

from nashfield.games.base import FiniteGame
from nashfield.games.continuous import ContinuousGame
from nashfield.games.loading import GAME_KINDS
from nashfield.games.rates import RateGame
from nashfield.games.specs import head_of, plain
from nashfield.parameters import Parameter, parameters_of


def describe(cls: type) -> dict[str, Any]:
    """What a listing says of a class of games or solvers, in terms that JSON can hold.

    Returns:
        name; kind ("finite", "stationary", "continuous", "continuous-time", or "solver"); summary
        (first sentence of the docstring); parameters (a list of name, default, type; no default
        where it is required); source (the sentence after "Source:", or None).
    """
    kind = "solver"
    if issubclass(cls, GAME_KINDS):
        kind = "finite" if issubclass(cls, FiniteGame) else "stationary"
        kind = "continuous" if issubclass(cls, ContinuousGame) else kind
        kind = "continuous-time" if issubclass(cls, RateGame) else kind
    text = " ".join((cls.__doc__ or "").split("Attributes:")[0].split())
    _, found, source = text.partition("Source: ")
    head = head_of(cls) or {}
    return {
        "name": head.get("name", cls.__name__),
        "kind": kind,
        "summary": _first_sentence(text),
        "parameters": [_listed(p) for p in parameters_of(cls)],
        "source": _first_clause(source) if found else None,
    }


def _first_sentence(text: str) -> str:
    return re.split(r"\.(?=\s|$)", text, maxsplit=1)[0]


def _first_clause(text: str) -> str:
    """Up to the first full stop, colon or semicolon outside of quotes and parentheses."""
    depth, quoted = 0, False
    for i, letter in enumerate(text):
        quoted ^= letter == '"'
        depth += (letter == "(") - (letter == ")")
        # "et al. (2022)" and "section 5.1" go on behind the stop.
        ends = letter in ":;." and re.match(r"\s+[^\s(]|\s*$", text[i + 1 :])
        if ends and not quoted and depth == 0:
            return text[:i]
    return text


def _listed(parameter: Parameter) -> dict[str, Any]:
    listed: dict[str, Any] = {"name": parameter.name, "type": parameter.kind}
    if not parameter.required:
        try:
            listed["default"] = plain(parameter.default)
        except TypeError:
            listed["default"] = repr(parameter.default)
    if parameter.choices:
        listed["choices"] = list(parameter.choices)
    return listed
