"""The numbers of the contact game from paths of its population."""

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from nashfield.games.zoo.sir_contact import SIRContact
from nashfield.neural.calibration import calibrate
from nashfield.papers.report import Row
from nashfield.papers.thoni2025.sizes import Sizes

_START = {"beta": 0.6, "gamma": 0.2, "c_I": 0.5}
_NOISE, _EVERY, _NUM_STEPS = 1e-3, 10, 800
_LAWS = ((0.9, 0.1, 0.0), (0.8, 0.2, 0.0), (0.6, 0.4, 0.0), (0.99, 0.01, 0.0))


def play(sizes: Sizes, *, key: PRNGKeyArray, tell: Callable[[str], None]) -> list[Row]:
    """Without noise, and with noise 1e-3 for a strong and a weak cost of infection."""
    tell("calibration: no noise ...")
    plain_key, *noise_keys = jax.random.split(key, 3)
    errors = _errors(SIRContact(), _LAWS[:1], 0.0, plain_key)
    rows = [_most("no noise", max(errors.values()), 0.01)]
    settings = (1.0, _LAWS[:1], 0.05), (0.1, _LAWS, 0.10)
    for (c_I, laws, most), noise_key in zip(settings, noise_keys, strict=True):
        tell(f"calibration: noise 1e-3, c_I = {c_I:g} ...")
        keys = jax.random.split(noise_key, sizes.calibration_seeds)
        found = [_errors(SIRContact(c_I=c_I), laws, _NOISE, one) for one in keys]
        worst = {name: max(errors[name] for errors in found) for name in _START}
        title = f"noise 1e-3, c_I = {c_I:g}, {len(laws)} initial laws"
        rows.append(_most(f"{title}: beta, gamma", max(worst["beta"], worst["gamma"]), 0.01))
        rows.append(_most(f"{title}: c_I / c_a", worst["c_I"], most))
    return rows


def _errors(
    game: SIRContact, laws: tuple[tuple[float, ...], ...], noise: float, key: PRNGKeyArray
) -> dict[str, float]:
    """Relative errors of what is found, from starts that do not know the truth."""
    noise_key, start_key = jax.random.split(key)
    paths = []
    for law in laws:
        there = SIRContact(game.beta, game.gamma, game.c_a, game.c_I, law, game.duration)
        states = there.equilibrium(num_steps=_NUM_STEPS).flow.states
        paths.append(np.asarray(states[:: _NUM_STEPS // (4 * _EVERY)], float))
    seen = np.stack(paths)
    seen = seen + noise * np.asarray(jax.random.normal(noise_key, seen.shape), float)
    start = SIRContact(c_a=game.c_a, duration=game.duration, **_START)
    found = calibrate(start, seen, initial_laws=np.asarray(laws), key=start_key).numbers
    return {name: abs(float(found[name]) / float(getattr(game, name)) - 1) for name in _START}


def _most(name: str, ours: float, most: float) -> Row:
    return Row.most(f"calibration, {name}: greatest relative error", ours, most)
