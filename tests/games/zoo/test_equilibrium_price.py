"""Equilibrium price, against another library and a closed form."""

import equinox as eqx
import jax
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.equilibrium_price import EquilibriumPrice

OTHER = EquilibriumPrice(
    max_stock=4,
    max_production=3,
    max_order=2,
    horizon=4,
    demand=3.0,
    supply=0.5,
    elasticity=2.0,
    unit_cost=0.1,
    effort_cost=0.2,
    order_cost=0.3,
    rush_cost=0.4,
    storage_cost=0.5,
)


# Made with mfglib 0.3.0 in double precision, Environment.equilibrium_price() and (T=3, s_inv=4,
# Q=3, H=2, d=3, e0=.5, sigma=2, c=(.1, .2, .3, .4, .5)): the uniform policy, and its mirror descent
# after 1 and 3 iterations.
@pytest.mark.parametrize(
    ("game", "learning_rate", "expected"),
    [
        (EquilibriumPrice(), 1.0, (22.215185693237814, 5.645291367187498, 0.4578620942060425)),
        (EquilibriumPrice(), 0.1, (22.215185693237814, 18.540578425127933, 12.54137807445747)),
        (OTHER, 1.0, (3.3402482839597223, 1.7424689884407418, 0.8156009422261385)),
        (OTHER, 0.1, (3.3402482839597223, 3.0882139494881833, 2.6811825972743932)),
    ],
)
def test_iterates_of_another_library(iterates, tolerance, game, learning_rate, expected):
    np.testing.assert_allclose(iterates(game, learning_rate), expected, rtol=tolerance)


def test_kernels(check_kernels):
    check_kernels(OTHER)


def test_one_decision_has_a_closed_form():
    # Stock is full and free, production costs q^2 / 2: q = 0 or 1 with p(y) - 1/2 = 0 at y.
    game = EquilibriumPrice(
        max_stock=1, max_production=1, max_order=1, horizon=1, demand=0.75, supply=1.0,
        unit_cost=0.0, effort_cost=0.5, order_cost=0.1, rush_cost=0.0, storage_cost=0.0,
    )  # fmt: skip
    policy = np.zeros((1, 2, 4))
    policy[:, 0, 0] = 1  # without stock, producing means ordering in haste: a loss
    policy[:, 1, 0], policy[:, 1, 2] = 0.0, 1.0  # with stock: everyone produces: output 1/2
    np.testing.assert_allclose(nf.exploitability(game, policy), 0, atol=1e-15)


def test_gradient_reaches_a_cost(welfare):
    policy = nf.random_policy(OTHER, key=jax.random.key(0))

    def outcome(cost):
        return welfare(eqx.tree_at(lambda game: game.storage_cost, OTHER, cost), policy)

    slope = (outcome(0.6) - outcome(0.4)) / 0.2
    np.testing.assert_allclose(jax.grad(outcome)(0.5), slope, rtol=1e-9)


def test_display():
    display = EquilibriumPrice(max_stock=1, max_production=1, max_order=1).display
    assert display.actions == (
        "make 0, order 0", "make 0, order 1", "make 1, order 0", "make 1, order 1"
    )  # fmt: skip
    assert display.states == ("stock 0", "stock 1")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_stock": 0}, "max_stock must be at least 1, not 0"),
        ({"max_order": 0}, "max_order must be at least 1, not 0"),
        ({"demand": 0.0}, "demand must be finite and greater than 0, not 0.0"),
        ({"elasticity": -1.0}, "elasticity must be finite and greater than 0, not -1.0"),
        ({"rush_cost": np.inf}, "rush_cost must be finite, not inf"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        EquilibriumPrice(**parameters)
