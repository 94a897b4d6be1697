"""A fit while it goes on: looks at models, of which the best is kept."""

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from nashfield import storage
from nashfield.neural.fit_result import COLUMNS, Fit, write_fit
from nashfield.neural.losses import AbstractLoss
from nashfield.neural.model import NeuralMeanFieldGame


def begin(model: NeuralMeanFieldGame, loss: AbstractLoss, folder: str | Path | None) -> Fit:
    """Before anything was looked at.

    Raises:
        RunFolderError: the folder is not empty, or cannot be written to.
    """
    folder = None if folder is None else Path(folder)
    if folder is not None:
        storage.new_folder(folder)
    empty = {name: np.zeros(0) for name in COLUMNS}
    return Fit(model, np.inf, 0, empty, np.zeros(0), _text(loss), folder=folder)


def with_look(fit: Fit, model: NeuralMeanFieldGame, step: int, loss: float) -> tuple[Fit, bool]:
    """After a look at `model`, and whether it is the best so far; kept in the folder.

    The game stays the one that was given, in its own precision.
    """
    row = {"step": step, "loss": loss}
    history = {name: np.append(fit.history[name], row[name]) for name in COLUMNS}
    better = loss < fit.best_loss
    found = dataclasses.replace(fit, history=history)
    if better:
        model = eqx.tree_at(lambda m: m.game, model, fit.model.game)
        found = dataclasses.replace(found, model=model, best_loss=loss, best_step=step)
    if fit.folder is not None:
        write_fit(found, fit.folder)
    return found, better


def with_losses(fit: Fit, losses: Any) -> Fit:
    """After some steps."""
    return dataclasses.replace(fit, losses=np.append(fit.losses, losses))


def diverged(fit: Fit, step: int) -> Fit:
    """After a step that led nowhere; warns."""
    warnings.warn(
        f"the loss of step {step} is not finite: the weights of step {fit.best_step} are "
        "returned; lower learning_rate, or raise the horizon of the game",
        RuntimeWarning,
        stacklevel=4,
    )
    return dataclasses.replace(fit, diverged_at=step)


def finished(fit: Fit, seconds: float) -> Fit:
    """After the last step, or the one that led nowhere."""
    found = dataclasses.replace(fit, seconds=seconds)
    if fit.folder is not None:
        write_fit(found, fit.folder)
    return found


def _text(loss: AbstractLoss) -> str:
    """As one would write it: Wasserstein(power=2.0)."""
    parts = []
    for field in dataclasses.fields(loss):
        value = getattr(loss, field.name)
        numbers = isinstance(value, np.ndarray | np.generic | jax.Array)
        parts.append(f"{field.name}={value.tolist() if numbers else repr(value)}")
    return f"{type(loss).__name__}({', '.join(parts)})"
