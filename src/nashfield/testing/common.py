"""What the checks of games and of solvers share."""

import copy
import dataclasses
from typing import Any

import jax
import numpy as np

from nashfield.results import NashfieldError


class CheckError(NashfieldError, AssertionError):
    """A game or a solver that does not conform."""


def held_by_numpy(module: Any, precision: str) -> Any:
    """Arrays as fresh NumPy arrays in this precision; JAX remembers the dtype of those it met."""

    def hold(leaf):
        if not isinstance(leaf, np.ndarray | jax.Array):
            return leaf
        return np.array(leaf, precision if leaf.dtype.kind == "f" else None)

    return jax.tree.map(hold, module)


def check_leaves(module: Any) -> None:
    """Raises for Python floats, which jit takes for a part of the program."""
    for field in dataclasses.fields(module):
        value = getattr(module, field.name)
        if isinstance(value, float) and not field.metadata.get("static", False):
            raise CheckError(
                f"{name_of(module)}.{field.name} is a Python float, {value}: every new value of it "
                "would compile anew. Make it an array, by eqx.field(converter=nashfield.typing."
                "scalar) or by scalar(...) in __init__"
            )


def relative_limit(precision: str) -> float:
    """How far apart two computations of one number may be, relative to its terms."""
    return 1e-9 if precision == "float64" else 1e-4


def name_of(thing: Any) -> str:
    """Name of the class, for messages."""
    return type(thing).__name__


def check_traces(game: Any, num_traces: int) -> None:
    """Raises where an equal game was compiled anew."""
    if num_traces > 1:
        raise CheckError(
            f"{name_of(game)} compiles anew for an equal game: what a static field holds must be "
            "hashable and equal to a copy of itself, such as numbers, text, and tuples of them"
        )


def copy_of(game: Any) -> Any:
    """The same game built anew, attribute by attribute."""
    new = object.__new__(type(game))
    for field in dataclasses.fields(game):
        if field.name in vars(game):
            object.__setattr__(new, field.name, copy.deepcopy(getattr(game, field.name)))
    return new
