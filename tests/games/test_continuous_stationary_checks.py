"""Games on points: what `check_game` says of wrong ones."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games import checks
from nashfield.games.listing import describe
from nashfield.games.loading import load_game
from nashfield.results import GameError
from nashfield.typing import scalar


class Drift(nf.ContinuousStationaryGame):
    """Stay, or step towards the crowd."""

    noise: Any = eqx.field(converter=scalar, default=0.1)
    discount: Any = eqx.field(converter=scalar, default=0.9)
    state_dim: Any = 2
    num_actions: Any = 3

    def initial(self, levels):
        return jnp.stack([levels[0], 1 - levels[0]])

    def move(self, state, action, mean_field, levels):
        return state + action * (mean_field.mean() - state) / 2 + self.noise * levels[0]

    def reward(self, state, action, mean_field):
        return -jnp.sum(state**2) - action

    def optimal_value(self, mean_field):
        return -jnp.sum(mean_field.mean())


def refuses(game, message):
    with pytest.raises(GameError, match=message):
        checks.check_game(game)


def test_a_good_game_passes(precision):
    checks.check_game(Drift())


def test_more_levels_than_one():
    class Noisy(Drift):
        num_levels = 3

        def initial(self, levels):
            return levels[1:]

    checks.check_game(Noisy())


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"state_dim": 0}, "Drift.state_dim must be a positive Python int, .* not 0"),
        ({"state_dim": 2.0}, "Drift.state_dim must be a positive Python int, .* not 2.0"),
        ({"num_actions": True}, "Drift.num_actions must be a positive Python int, .* not True"),
        ({"discount": 1.0}, r"Drift.discount must lie in \[0, 1\), not 1.0"),
        ({"discount": np.full(2, 0.5)}, r"Drift.discount must lie in \[0, 1\), not \[0.5 0.5\]"),
    ],
)
def test_sizes(sizes, message):
    refuses(Drift(**sizes), message)


def test_number_of_levels():
    class Silent(Drift):
        num_levels = 0

    refuses(Silent(), "Silent.num_levels must be a positive Python int")


class Flat(Drift):
    def initial(self, levels):
        return levels[0]


class Short(Drift):
    def move(self, state, action, mean_field, levels):
        return state[:1]


class Paid(Drift):
    def reward(self, state, action, mean_field):
        return state


class Valued(Drift):
    def optimal_value(self, mean_field):
        return mean_field.mean()


class Imaginary(Drift):
    def reward(self, state, action, mean_field):
        return 1j * state[0]


class Asking(Drift):
    def move(self, state, action, mean_field, levels):
        return state if action == 0 else 0 * state


@pytest.mark.parametrize(
    ("game", "message"),
    [
        (Flat, r"Flat.initial\(...\) must have shape \(state_dim,\) = \(2,\), but has shape \(\)"),
        (Short, r"Short.move\(...\) must have shape \(state_dim,\) = \(2,\), but has shape \(1,\)"),
        (Paid, r"Paid.reward\(...\) must have shape \(\) = \(\), but has shape \(2,\)"),
        (Valued, r"Valued.optimal_value\(...\) must have shape \(\) = \(\), but has shape \(2,\)"),
        (Imaginary, r"Imaginary.reward\(...\) must .* hold real numbers, not complex128"),
        (Asking, r"Asking.move cannot be compiled at line \d+ of .*state if action == 0"),
    ],
)
def test_shapes(game, message):
    refuses(game(), message)


class Lost(Drift):
    def initial(self, levels):
        return jnp.log(levels[0] - 0.5) * jnp.ones(2)


class Thrown(Drift):
    def move(self, state, action, mean_field, levels):
        return jnp.where(action == 2, jnp.inf, state)


class Unpaid(Drift):
    def reward(self, state, action, mean_field):
        return jnp.sum(jnp.log(state + 1e-3 - mean_field.mean()))


class Worthless(Drift):
    def optimal_value(self, mean_field):
        return jnp.nan * mean_field.mean()[0]


@pytest.mark.parametrize(
    ("game", "message"),
    [
        (Lost, r"Lost.initial gives \[nan nan\]"),
        (Thrown, r"Thrown.move: at \[.*\], action 2, it gives \[inf inf\] \(for a crowd that has"),
        (Unpaid, r"Unpaid.reward: at \[.*\], action 0, it gives nan \(for a crowd that has just"),
        (Worthless, r"Worthless.optimal_value is nan \(for a crowd that has just started\)"),
    ],
)
def test_values(game, message):
    refuses(game(), message)


def test_conformance_in_both_precisions():
    nf.testing.check_game(Drift())


def test_it_is_listed_as_stationary_and_loaded_from_a_file(tmp_path):
    assert describe(Drift)["kind"] == "stationary"
    path = tmp_path / "drift.py"
    head = (
        "import equinox as eqx\nimport jax.numpy as jnp\nimport nashfield as nf\n"
        "from nashfield.typing import scalar\nfrom typing import Any\n\n"
    )
    body = Path(__file__).read_text().partition("class Drift")[2].partition("\n\n\n")[0]
    path.write_text(head + "class Drift" + body + "\n")
    game = load_game(f"{path}:Drift", {"noise": "0.2"})
    assert float(game.noise) == 0.2
    with pytest.raises(GameError, match=r"say which game of drift.py: .* it has Drift"):
        load_game(str(path))
