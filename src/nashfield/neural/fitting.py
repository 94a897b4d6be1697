"""Fits neural mean-field games to what was seen of crowds."""

import sys
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from nashfield.checks import check_number, check_size
from nashfield.neural import fit_progress
from nashfield.neural.fit_result import Fit
from nashfield.neural.losses import AbstractLoss, EnergyDistance, Wasserstein
from nashfield.neural.model import NeuralMeanFieldGame, check_inputs
from nashfield.neural.observations import Observations, check_observations
from nashfield.neural.training import (
    Training,
    advance,
    first_weights,
    look_at,
    look_crowds,
    standardised,
)
from nashfield.policies.gaussian_network import single
from nashfield.progress import ProgressReport
from nashfield.results import ParameterError

# Crowds that a step simulates at least, where agents are not paired.
_LEAST_CROWDS = 10


def fit(
    model: NeuralMeanFieldGame,
    observations: Any,
    *,
    loss: AbstractLoss | None = None,
    validation: Any = None,
    num_steps: int = 500,
    batch_size: int = 32,
    num_crowds: int | None = None,
    learning_rate: Any = 1e-2,
    look_every: int = 50,
    patience: int | None = None,
    progress: bool | None = None,
    folder: str | Path | None = None,
    key: PRNGKeyArray,
) -> Fit:
    """Trains drift and diffusion of `model` so that its crowds are like the observed ones.

    Every step draws some of the observed games, simulates crowds with fresh noise for every agent
    and step, and follows the gradient of the loss through the simulation (discretise, then
    optimise), by Adam. Agents of all crowds in a step are pooled, as games differ by chance alone;
    where each game has inputs of its own, every game is compared with crowds of its own. Every
    `look_every` steps the loss is taken of at least 60 fresh crowds, by common random numbers and
    at a running mean of the weights; those with the least are returned. All arithmetic is in single
    precision.

    Args:
        model: what to begin with, such as NeuralMeanFieldGame(game, key=key).
        observations: `Observations`, or states of the last turn, (G, N, D) or (G, N).
        loss: what to minimise; if None Wasserstein(power=2) on the line, where it sees tails, and
            EnergyDistance() elsewhere and where games have inputs of their own, as it is right on
            average for few agents too.
        validation: other observations, by which looks judge; the same ones if None.
        num_steps: of Adam, at most.
        batch_size: observed games a step, at most.
        num_crowds: simulated crowds a step; None for as many as games, and 10 at least, where the
            loss pairs no agents and starts were not seen; a multiple of the games of a step where
            these have inputs of their own.
        learning_rate: at first; falls to 2% of that along a cosine.
        look_every: steps between looks.
        patience: looks without a better one, after which the fit ends; None for no end before
            num_steps.
        progress: True for a bar or lines on standard error, False for none, None for a bar on
            terminals.
        folder: where the best fit so far is kept at every look, so that a killed run loses
            nothing; None for nowhere. Must be new or empty.
        key: for batches, starts and noise.

    Returns:
        The best model that was looked at, and how it went. Where numbers stopped being finite,
        `fit.diverged_at` is that step, and a warning says so.

    Raises:
        TypeError: these are no observations, the model is no model, or the loss none.
        ParameterError: a number is out of range, or observations do not fit the game, the model or
            the loss.
        RunFolderError: the folder is not empty, or cannot be written to.
    """
    if not isinstance(model, NeuralMeanFieldGame):
        raise TypeError(
            f"fit takes a model, NeuralMeanFieldGame(game, key=key), not {type(model).__name__}"
        )
    if loss is not None and not isinstance(loss, AbstractLoss):
        raise TypeError(f"loss must be one such as neural.EnergyDistance(), not {loss!r}")
    seen = _observations(model, observations, "observations")
    loss = _default_loss(model, seen) if loss is None else loss
    judged = seen if validation is None else _observations(model, validation, "validation")
    for name, value in (("num_steps", num_steps), ("batch_size", batch_size)):
        check_size(name, value)
    check_size("look_every", look_every)
    if patience is not None:
        check_size("patience", patience)
    check_number("learning_rate", learning_rate, above=0.0)
    batch = min(batch_size, seen.num_games)
    crowds = _num_crowds(loss, seen, batch, num_crowds)
    _check_loss(loss, seen, crowds, batch)
    _check_loss(loss, judged, look_crowds(loss, judged), judged.num_games)
    begin_key, look_key, step_key = jax.random.split(key, 3)
    game = model.game
    model = standardised(single(model), single(seen), begin_key)
    training = Training(
        model=model,
        loss=single(loss),
        seen=single(seen),
        judged=single(judged),
        rate=jnp.asarray(learning_rate, jnp.float32),
        num_steps=jnp.asarray(num_steps),
        step_key=step_key,
        look_key=look_key,
        batch=batch,
        crowds=crowds,
        length=min(look_every, num_steps),
        seen_start=seen.from_the_start,
        judged_start=judged.from_the_start,
    )
    result = fit_progress.begin(eqx.tree_at(lambda m: m.game, model, game), loss, folder)
    report = ProgressReport(num_steps, progress, work="fitting", number="loss")
    return _train(training, result, num_steps, patience, report)


def _train(
    training: Training, result: Fit, num_steps: int, patience: int | None, report: ProgressReport
) -> Fit:
    weights = first_weights(training)
    start, since = time.perf_counter(), 0
    try:
        while True:
            done, look = int(weights.step), float(look_at(training, weights.averaged))
            model = training.with_networks(weights.averaged)
            result, better = fit_progress.with_look(result, model, done, look)
            since = 0 if better else since + 1
            passed = time.perf_counter() - start
            report.update(done, look, done / max(passed, 1e-9))
            if done >= num_steps or (patience is not None and since >= patience):
                if not np.isfinite(look):
                    result = fit_progress.diverged(result, done)
                return fit_progress.finished(result, passed)
            weights, losses = advance(training, weights)
            losses = np.asarray(losses)[: num_steps - done]
            result = fit_progress.with_losses(result, losses)
            if not np.isfinite(losses).all():
                result = fit_progress.diverged(result, done + int(np.argmin(np.isfinite(losses))))
                return fit_progress.finished(result, time.perf_counter() - start)
    except KeyboardInterrupt:
        if result.folder is not None:
            print(
                "interrupted: the best fit so far is kept; "
                f"neural.Fit.load({str(result.folder)!r})",
                file=sys.stderr,
            )
        raise
    finally:
        report.close()


def _observations(model: NeuralMeanFieldGame, given: Any, name: str) -> Observations:
    if not isinstance(given, Observations) and hasattr(given, "__len__"):
        given = Observations.last_turn(model.game, given)
    check_observations(model.game, given, name)
    check_inputs(model, given.inputs)
    return given


def _default_loss(model: NeuralMeanFieldGame, seen: Observations) -> AbstractLoss:
    pooled_on_the_line = model.game.state_dim == 1 and not seen.apart
    return Wasserstein(power=2.0) if pooled_on_the_line else EnergyDistance()


def _num_crowds(loss: AbstractLoss, seen: Observations, batch: int, given: int | None) -> int:
    if given is not None:
        check_size("num_crowds", given)
        if seen.apart and given % batch:
            raise ParameterError(
                f"num_crowds must be a multiple of the {batch} games of a step, as each game has "
                f"inputs of its own, not {given}"
            )
        return given
    if loss.paired or seen.from_the_start:
        return batch
    return batch * -(-_LEAST_CROWDS // batch) if seen.apart else max(batch, _LEAST_CROWDS)


def _check_loss(loss: AbstractLoss, seen: Observations, crowds: int, games: int) -> None:
    num_agents, groups = seen.states.shape[2], games if seen.apart else 1
    sizes = crowds * num_agents // groups, games * num_agents // groups
    loss.check(*sizes, seen.states.shape[-1])
    if seen.from_the_start and len(seen.times) < 2:
        raise ParameterError("observations at time 0 alone say nothing of how crowds move")
