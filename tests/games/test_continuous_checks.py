"""Games on points with a horizon: what `check_game` says of wrong ones."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games import checks
from nashfield.games.listing import describe
from nashfield.results import GameError
from nashfield.typing import scalar


class Herd(nf.ContinuousGame):
    """Walk with the crowd."""

    push: Any = eqx.field(converter=scalar, default=0.5)
    horizon: Any = 3
    state_dim: Any = 2
    control_dim: Any = 1

    def initial(self):
        return nf.Gaussian(np.zeros(2), np.eye(2))

    def step(self, t, x, a, mean_field, noise):
        return x + a * jnp.ones(2) + self.push * (mean_field.mean() - x) + 0.1 * noise

    def reward(self, t, x, a, mean_field):
        return -jnp.sum((x - mean_field.mean()) ** 2) - a[0] * mean_field.mean_action()[0]


def refuses(game, message):
    with pytest.raises(GameError, match=message):
        checks.check_game(game)


def test_a_good_game_passes(precision):
    checks.check_game(Herd())
    checks.check_form(Herd())
    nf.testing.check_game(Herd())


def test_it_is_listed_as_continuous():
    assert describe(Herd)["kind"] == "continuous"


@pytest.mark.parametrize("name", ["horizon", "state_dim", "control_dim"])
@pytest.mark.parametrize("value", [0, 2.0, True])
def test_sizes(name, value):
    refuses(Herd(**{name: value}), f"Herd.{name} must be a positive Python int, .* not {value}")


def test_noise_dim():
    class Still(Herd):
        noise_dim = 0

    refuses(Still(), r"Still.noise_dim must be a positive Python int, .* not 0")


class Bounded(Herd):
    low: Any = (-1.0,)
    high: Any = (1.0,)

    @property
    def control_bounds(self):
        return np.asarray(self.low), np.asarray(self.high)


def test_control_bounds_the_wrong_way_round():
    refuses(Bounded(low=(2.0,)), "Bounded.control_bounds: entry 0 goes from 2 to 1")


def test_control_bounds_of_another_size():
    refuses(
        Bounded(low=(0.0, 0.0)), r"Bounded.control_bounds must be two arrays .* shape \(1,\) each"
    )


def test_a_domain_the_wrong_way_round():
    class Nowhere(Herd):
        domain = (np.array([0.0, 1.0]), np.array([1.0, 1.0]))

    refuses(Nowhere(), "Nowhere.domain: entry 1 goes from 1 to 1")


def test_a_periodic_game_without_ends():
    class Ring(Herd):
        periodic = True

    refuses(Ring(), "Ring is periodic: its domain must be finite")


def test_an_initial_law_that_is_none():
    class Points(Herd):
        def initial(self):
            return np.zeros(2)

    refuses(Points(), r"Points.initial\(\) must give the law of the population, .* not ndarray")


def test_an_initial_law_of_another_dimension():
    class Line(Herd):
        def initial(self):
            return nf.Uniform(np.zeros(1), np.ones(1))

    refuses(Line(), r"\(state_dim,\) = \(2,\), but its mean has shape \(1,\)")


def test_a_step_of_the_wrong_shape():
    class Flat(Herd):
        def step(self, t, x, a, mean_field, noise):
            return x[0]

    refuses(Flat(), r"Flat.step\(...\) must have shape \(state_dim,\) = \(2,\), but has shape \(\)")


def test_a_reward_of_the_wrong_shape():
    class Wide(Herd):
        def reward(self, t, x, a, mean_field):
            return x

    refuses(Wide(), r"Wide.reward\(...\) must have shape \(\) = \(\), but has shape \(2,\)")


def test_an_observation_that_is_a_number():
    class Blind(Herd):
        def observe(self, x):
            return x[0]

    refuses(Blind(), r"Blind.observe\(...\) must have one axis, but has shape \(\)")


def test_actions_after_the_last_decision():
    class Late(Herd):
        def terminal_reward(self, x, mean_field):
            return mean_field.mean_action()[0]

    refuses(Late(), "do not ask for actions in terminal_reward")


def test_rewards_that_are_no_numbers():
    class Edge(Herd):
        def reward(self, t, x, a, mean_field):
            return jnp.where(t == 1, jnp.log(x[0]), 0.0)

    refuses(Edge(), r"Edge.reward: at t = 1, x = \[-.*\], a = \[.*\] it gives nan")


def test_actions_are_tried_inside_half_open_bounds():
    class Paid(Bounded):
        def reward(self, t, x, a, mean_field):
            return jnp.sqrt(a[0] - 5)

    checks.check_game(Paid(low=(5.0,), high=(np.inf,)))


def test_moves_that_explode():
    class Burst(Herd):
        def step(self, t, x, a, mean_field, noise):
            return x / jnp.where(t == 2, 0.0, 1.0)

    refuses(Burst(), r"Burst.step: at t = 2, x = .* it gives \[-?inf")


def test_a_terminal_reward_that_is_no_number():
    class End(Herd):
        def terminal_reward(self, x, mean_field):
            return jnp.sqrt(x[1])

    refuses(End(), r"End.terminal_reward: in x = .* it gives nan")


def test_a_method_that_cannot_be_traced():
    class Branch(Herd):
        def reward(self, t, x, a, mean_field):
            return 1.0 if x[0] > 0 else 0.0

    refuses(Branch(), r"Branch.reward cannot be compiled .*if x\[0\] > 0")
