"""The sound mode on the paper's synthetic crowds: how near learnt laws come, at any N."""

import jax
import numpy as np
import pytest

from nashfield.games.zoo.el_farol import ElFarolIntentions
from nashfield.games.zoo.meeting_arrival import MeetingArrival
from nashfield.neural import NeuralMeanFieldGame, fit
from nashfield.papers.thoni2025.data import EL_FAROL, MEETING, distance

NUM_GAMES = 10


def ends(model, num_agents, num_pooled, seed):
    """The law at the last turn: several crowds, pooled."""
    keys = jax.random.split(jax.random.key(seed), -(-num_pooled // num_agents))
    times = [float(model.game.duration)]
    crowds = [model.simulate(key, num_agents=num_agents, times=times)[0] for key in keys]
    return np.concatenate(crowds)[:, 0]


def learnt(game, data, seed):
    """The training sample (420 agents of a meeting, 1,000 of the bar), and what was fitted."""
    keys = jax.random.split(jax.random.key(seed), 3)
    seen = np.asarray(data.draw(keys[0], NUM_GAMES))
    return seen, fit(NeuralMeanFieldGame(game, key=keys[1]), seen, key=keys[2])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_meeting(seed):
    """At N = 42 the training law; 420 and 4,200 agents are one crowd; 42 feel their number."""
    seen, found = learnt(MeetingArrival(), MEETING, seed)
    laws = {n: ends(found.model, n, 84_000, 100 + seed) for n in (42, 420, 4200)}
    near = distance(laws[42], seen.ravel())
    spread = laws[42].std() / seen.std() - 1
    apart = {pair: distance(laws[pair[0]], laws[pair[1]]) for pair in ((420, 4200), (42, 420))}
    print(
        f"seed {seed}: W1 to the training law {near:.4f}, deviation {100 * spread:+.1f}%, to the "
        f"true law {distance(laws[42], MEETING):.4f} (sample {distance(seen.ravel(), MEETING):.4f})"
        f", between N = 420 and 4,200 {apart[420, 4200]:.4f}, 42 and 420 {apart[42, 420]:.4f}, "
        f"{found.seconds:.0f} s"
    )
    assert near <= 0.06
    assert abs(spread) <= 0.08
    assert apart[420, 4200] <= 0.01
    assert apart[42, 420] <= 0.07


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_el_farol(seed):
    seen, found = learnt(ElFarolIntentions(), EL_FAROL, seed)
    laws = {n: ends(found.model, n, 84_000, 200 + seed) for n in (100, 420)}
    near = {n: distance(law, EL_FAROL) for n, law in laws.items()}
    print(
        f"seed {seed}: W1 to the true law {near[100]:.4f}, at N = 420 {near[420]:.4f} (sample "
        f"{distance(seen.ravel(), EL_FAROL):.4f}), to the training law "
        f"{distance(laws[100], seen.ravel()):.4f}, {found.seconds:.0f} s"
    )
    assert max(near.values()) <= 0.02
