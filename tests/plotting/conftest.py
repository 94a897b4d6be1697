"""Solutions to draw."""

import equinox as eqx
import jax
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.rate_equations import crowd_of
from nashfield.policies import policy_shape
from nashfield.registry import GAMES

RNG = np.random.default_rng(0)


def _solution_of(game, history=(1.0, 0.5, 0.25)):
    """A Solution around a random policy: pictures do not care how it was found."""
    histories = {"exploitability": np.array(history), "social_welfare": -np.array(history)}
    if isinstance(game, nf.FiniteGame):
        policy = RNG.dirichlet(np.ones(game.num_actions), policy_shape(game)[:-1])
        flow = eqx.filter_jit(nf.population_flow)(game, policy)
    elif isinstance(game, nf.StationaryGame):
        policy = RNG.dirichlet(np.ones(game.num_actions), policy_shape(game)[:-1])
        law = RNG.dirichlet(np.ones(game.num_states))
        flow = nf.FiniteMeanField(law, policy)
    elif isinstance(game, nf.RateGame):
        low, high = game.action_bounds
        policy = low + (high - low) * RNG.random((51, game.num_states))
        flow = nf.FiniteFlow(crowd_of(game, policy))
    elif isinstance(game, nf.ContinuousGame):
        shape = (game.horizon, game.control_dim, game.state_dim)
        policy = nf.policies.Affine(0.01 * RNG.normal(size=shape), np.zeros(shape[:2]))
        flow = nf.rollout_flow(game, policy, num_agents=300, key=jax.random.key(0))
    else:
        policy = nf.policies.Neural().begin(game, key=jax.random.key(0))
        flow = nf.Particles(RNG.random((50, game.state_dim)))
        histories["gradient_norm"] = np.array(history)
    return nf.Solution(
        policy=policy,
        flow=flow,
        history=histories,
        num_steps=np.asarray(len(history) - 1),
        result_code=np.asarray(0),
        state=None,
        game=game,
        solver=nf.OnlineMirrorDescent(),
    )


def _default(name):
    """A game of the zoo at its default settings."""
    return getattr(nf.games, GAMES[name][1])()


@pytest.fixture
def solution_of():
    """A solution of a game, with a random policy and its crowd."""
    return _solution_of


@pytest.fixture
def default():
    """A game of the zoo at its default settings, by name."""
    return _default
