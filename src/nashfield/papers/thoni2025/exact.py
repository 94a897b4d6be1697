"""Exact equilibria beside digits derived apart."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from nashfield.dynamics.diffusions import GradientPlay, roll_crowd
from nashfield.games.zoo.consensus import Consensus
from nashfield.games.zoo.el_farol_bar import ElFarolBar
from nashfield.games.zoo.meeting_arrival import MeetingArrival
from nashfield.games.zoo.meeting_time import MeetingTime
from nashfield.games.zoo.sir_contact import SIRContact
from nashfield.games.zoo.sir_vaccination import SIRVaccination
from nashfield.papers.report import Row

# The digits given.
_DIGITS = 1.01e-8
# Of the gradient flow: steps a turn (dt = .005), turns before it has settled, and beyond; agents.
_STEPS, _SETTLED, _TURNS, _NUM_AGENTS, _NUM_CROWDS = 200, 8.0, 16.0, 2000, 8
# Its bias is O(dt): at dt = .005 particles derived apart are .0057 above.
_BIAS = 0.006


def play(*, key: PRNGKeyArray, tell: Callable[[str], None]) -> list[Row]:
    """All rows; their references were derived apart."""
    tell("exact equilibria ...")
    rows = []
    for name, weight, tau, begins in (
        ("unit weights", 1.0, 12.12667355, 12.54748417),
        ("inconvenience 2", 2.0, 11.87332645, 12.29413707),
    ):
        found = MeetingTime(inconvenience=weight).equilibrium()
        rows.append(_digits(f"meeting time, {name}: intention", tau, found.intention))
        rows.append(_digits(f"meeting time, {name}: beginning", begins, found.start))
    for home, going in ((1.0, 0.60066926), (0.5, 0.63344028)):
        found = ElFarolBar(home=home).equilibrium()
        rows.append(_digits(f"El Farol, ratio {home / 2:g}: share that goes", going, found))
    consensus = Consensus()
    rows.append(_digits("consensus: variance at the end", 0.29539212, consensus.variance(1.0)))
    rows.append(_digits("consensus: cost", 0.14942187, consensus.cost()))
    rows += _epidemics()
    tell("the gradient flow of the meeting, by particles ...")
    return [*rows, gradient_flow(key)]


def _epidemics() -> list[Row]:
    found = SIRContact().equilibrium(num_steps=4000)
    infected = np.asarray(found.flow.states[:, 1])
    numbers = (
        ("S(T)", 0.05059376, found.flow.states[-1, 0]),
        ("greatest I", 0.35293128, infected.max()),
        ("least contact", 0.96531911, jnp.min(found.policy[:, 0])),
        ("cost of a susceptible at first", 0.73077712, -found.values[0, 0]),
        ("cost", 0.73716037, -found.value),
    )
    rows = [_digits(f"SIR contact: {name}", known, ours) for name, known, ours in numbers]
    game = SIRVaccination()
    for name, found, threshold, cost in (
        ("equilibrium", game.threshold_equilibrium(), 0.024651, 0.682297),
        ("social optimum", game.threshold_optimum(), 0.032438, 0.681671),
    ):
        rows.append(
            _digits(f"SIR vaccination: threshold, {name}", threshold, found.threshold, 1e-6)
        )
        rows.append(_digits(f"SIR vaccination: cost, {name}", cost, -found.value, 1e-6))
    return rows


def gradient_flow(key: PRNGKeyArray) -> Row:
    """When the meeting of the gradient flow begins, nu = .25, after it has settled."""
    game = MeetingArrival(nu=0.25, duration=_TURNS, horizon=int(_TURNS * _STEPS))
    times = jnp.linspace(_SETTLED, _TURNS, 81)

    @jax.jit
    def begins(key: PRNGKeyArray) -> jax.Array:
        start_key, key = jax.random.split(key)
        start = game.initial().sample(start_key, _NUM_AGENTS)
        states = roll_crowd(
            GradientPlay(game),
            jnp.asarray(start, jnp.float32),
            times,
            duration=game.duration,
            num_steps=game.horizon,
            key=key,
        )
        return jnp.mean(jnp.quantile(states[:, :, 0], game.quantile, axis=1))

    means = np.asarray([begins(key) for key in jax.random.split(key, _NUM_CROWDS)], float)
    error = means.std(ddof=1) / len(means) ** 0.5
    exact, ours = float(game.stationary_beginning()), float(means.mean())
    return Row(
        "gradient flow of the meeting: beginning, dt = .005",
        None,
        ours,
        (ours - error, ours + error),
        agrees=bool(abs(ours - exact) <= _BIAS + 3 * error),
        bar=f"within {_BIAS:g} and 3 standard errors",
        reference=exact,
    )


def _digits(name: str, known: float, ours: object, tolerance: float = _DIGITS) -> Row:
    return Row.near_reference(name, known, float(np.asarray(ours)), tolerance)
