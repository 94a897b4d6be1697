"""Every way to break a game's protocol, each with its message."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games import checks
from nashfield.games.kernels import Kernel, predecessor_lists
from nashfield.registry import GAMES, find
from nashfield.results import GameError, NashfieldError

S, A, T = 4, 2, 3


class Good(nf.FiniteGame):
    """A walk on a ring; its parts can be replaced one by one."""

    num_states: int = S
    num_actions: int = A
    horizon: int = T
    parts: dict = eqx.field(default_factory=dict, static=True)

    def initial(self):
        return self._part("initial", np.full(S, 1 / S))

    def transition(self, t, mean_field):
        return self._part("transition", Dense(), t, mean_field)

    def reward(self, t, mean_field):
        return self._part("reward", -mean_field.states[:, None] * jnp.ones((S, A)), t, mean_field)

    def terminal_reward(self, mean_field):
        return self._part("terminal_reward", jnp.zeros(S), mean_field)

    def _part(self, name, value, *arguments):
        return self.parts[name](*arguments) if name in self.parts else value

    def __hash__(self):
        return id(self)


def Dense(**changes):
    table = np.tile(np.eye(S), (A, 1, 1)).transpose(1, 0, 2) * 0.5 + 0.5 / S
    for place, value in changes.pop("at", {}).items():
        table[place] = value
    return nf.Dense(table)


def Sparse(**changes):
    successors = np.stack([np.arange(S)] * A, 1)[:, :, None] + np.arange(2)
    arguments = {"successors": successors % S, "probabilities": np.full((S, A, 2), 0.5)}
    return nf.Sparse(**{**arguments, **changes})


def game(**parts):
    sizes = {key: parts.pop(key) for key in list(parts) if key.startswith(("num_", "horizon"))}
    return Good(**sizes, parts=Parts(parts))


class Parts(dict):
    """A static field must be hashable."""

    def __hash__(self):
        return id(self)


def refuses(bad, message):
    with pytest.raises(GameError, match=message) as caught:
        checks.check_game(bad)
    assert isinstance(caught.value, NashfieldError)
    assert isinstance(caught.value, ValueError)


def test_a_good_game_passes(precision):
    checks.check_game(game())
    checks.check_game(game(transition=lambda t, m: Sparse()))


@pytest.mark.parametrize("name", GAMES)
def test_the_zoo_passes(name):
    checks.check_game(find(GAMES, name, "game")())


def test_sparse_games_pass_in_single_precision(precision):
    checks.check_game(nf.games.BeachBar(num_states=9, horizon=3))


def test_a_class():
    refuses(Good, r"Good is a class: pass a game, such as Good\(\)")


def test_no_game():
    refuses(3, "int is no game: derive it from nashfield.FiniteGame")


@pytest.mark.parametrize("name", ["num_states", "num_actions", "horizon"])
def test_sizes(name):
    refuses(game(**{name: 0}), f"Good.{name} must be at least 1, not 0")
    refuses(game(**{name: 2.0}), f"Good.{name} must be a Python int.*not 2.0 of type float")
    refuses(game(**{name: None}), f"Good.{name} is missing: set it to a positive integer")
    refuses(game(**{name: np.int64(3)}), f"Good.{name} must be a Python int.* of type int64")


@pytest.mark.parametrize(
    ("initial", "message"),
    [
        (np.full(3, 1 / 3), r"initial\(\) must have shape \(num_states,\) = \(4,\).*\(3,\)"),
        (np.array([0.5, 0.5, 0.5, -0.5]), r"initial\(\) is negative, -0.5, in state 3"),
        (np.full(4, 0.2), r"initial\(\) must sum to 1, but sums to 0.8"),
        (np.array([1.0, 0.0, np.nan, 0.0]), r"initial\(\) is nan in state 2"),
        (np.full(4, 0.25j), r"initial\(\).* hold real numbers, not complex128"),
    ],
)
def test_initial(initial, message):
    refuses(game(initial=lambda: initial), message)


def test_rows_that_do_not_sum_to_one():
    def transition(t, mean_field):
        return nf.Dense(
            jnp.where(t == 2, 0.9, 1.0) ** jnp.eye(S)[1][:, None, None] * Dense().dense()
        )

    refuses(
        game(transition=transition),
        r"Good.transition: at t = 2, state 1, action 0, the probabilities of the next state must "
        r"sum to 1, but sum to 0.9 \(for the uniform crowd\)",
    )


def test_rows_that_do_not_sum_to_one_in_some_crowds():
    def transition(t, mean_field):
        scale = jnp.where(mean_field.states[-1] > 0.9, 1.5, 1.0)
        return Sparse(probabilities=scale * np.full((S, A, 2), 0.5))

    refuses(
        game(transition=transition), r"state 0, action 0, .* sum to 1.5 \(for a crowd all in the"
    )


def test_small_errors_count_in_double_precision():
    kernel = Sparse(probabilities=np.full((1, 1, 2), 0.49999))
    refuses(game(transition=lambda t, m: kernel), "sum to 0.99998")


def test_negative_probabilities():
    kernel = Dense(at={(3, 1): [1.25, -0.25, 0, 0]})
    refuses(
        game(transition=lambda t, m: kernel),
        "at t = 0, state 3, action 1, a probability is negative, -0.25",
    )
    kernel = Sparse(probabilities=np.array([1.5, -0.5])[None, None])
    refuses(game(transition=lambda t, m: kernel), "state 0, action 0, .* is negative, -0.5")


def test_probabilities_that_are_nan():
    kernel = Dense(at={(2, 0, 1): np.nan})
    refuses(
        game(transition=lambda t, m: kernel), "state 2, action 0, .*must sum to 1, but sum to nan"
    )


@pytest.mark.parametrize("wrong", [4, -1])
def test_successors_out_of_range(wrong):
    successors = np.array(Sparse().successors)
    successors[2, 1, 0] = wrong
    refuses(
        game(transition=lambda t, m: Sparse(successors=successors)),
        f"at t = 0, state 2, action 1, successor {wrong} is not one of the 4 states",
    )


def test_predecessors_of_other_successors():
    wrong = predecessor_lists(np.roll(Sparse().successors, 1, axis=0))
    refuses(
        game(transition=lambda t, m: Sparse(predecessors=wrong)),
        "push is not the transpose of its expect.*predecessor_lists",
    )


class Rule(Kernel):
    """A kernel of the user's own: stay with probability 1.5, move with -0.5."""

    stay: float = 1.5

    def expect(self, values):
        return jnp.tile((self.stay * values + (1 - self.stay) * jnp.roll(values, -1))[:, None], A)

    def push(self, mass):
        law = jnp.sum(mass, 1)
        return self.stay * law + (1 - self.stay) * jnp.roll(law, 1)

    def dense(self):
        return jax.vmap(self.expect, out_axes=2)(jnp.eye(S))


def test_kernels_may_hold_python_numbers():
    class Shift(Rule):
        offset: int = 1

        def expect(self, values):
            return jnp.tile(
                jnp.concatenate([values[self.offset :], values[: self.offset]])[:, None], A
            )

        def push(self, mass):
            law = jnp.sum(mass, 1)
            return jnp.concatenate([law[-self.offset :], law[: -self.offset]])

    checks.check_game(game(transition=lambda t, m: Shift()))


def test_kernels_of_an_unknown_kind():
    checks.check_game(game(transition=lambda t, m: Rule(0.5)))
    refuses(game(transition=lambda t, m: Rule()), "a probability is negative, -0.5")


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (np.eye(S), r"transition must return a kernel, such as nashfield.Dense.*not ndarray"),
        (
            lambda: nf.Dense(np.ones((A, S, S)) / S),
            r"Dense.probabilities must have shape \(num_states, num_actions, num_states\) = "
            r"\(4, 2, 4\), but has shape \(2, 4, 4\)",
        ),
        (
            lambda: nf.Sparse(np.zeros((S, 3, 2), int), np.full((S, 3, 2), 0.5)),
            r"successors must have shape .* = \(4, 2, K\), but has shape \(4, 3, 2\)",
        ),
    ],
)
def test_wrong_kernels(kernel, message):
    refuses(game(transition=lambda t, m: kernel() if callable(kernel) else kernel), message)


def test_probabilities_that_do_not_broadcast():
    kernel = Sparse()
    kernel = eqx.tree_at(lambda k: k.probabilities, kernel, np.full((S, A, 3), 1 / 3))
    refuses(
        game(transition=lambda t, m: kernel),
        r"Sparse.probabilities must have the shape of the successors, \(4, 2, 2\), or one that "
        r"broadcasts to it, but has shape \(4, 2, 3\)",
    )


def test_successors_that_are_no_integers():
    kernel = eqx.tree_at(lambda k: k.successors, Sparse(), np.zeros((S, A, 2)))
    refuses(game(transition=lambda t, m: kernel), "Sparse.successors must be integers, not float64")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rewards_that_are_not_finite(value):
    def reward(t, mean_field):
        table = jnp.zeros((S, A)).at[1, 1].set(value)
        return jnp.where(t == 1, table, 0.0)

    refuses(game(reward=reward), f"Good.reward: at t = 1, state 1, action 1, the reward is {value}")


def test_a_logarithm_of_an_empty_state():
    def reward(t, mean_field):
        return -jnp.log(mean_field.states)[:, None] * jnp.ones((S, A))

    refuses(
        game(reward=reward), r"state 1, action 0, the reward is inf \(for a crowd all in the first"
    )


def test_reward_shape():
    refuses(
        game(reward=lambda t, m: m.states),
        r"Good.reward\(...\) must have shape \(num_states, num_actions\) = \(4, 2\), but has shape "
        r"\(4,\)",
    )


def test_terminal_reward():
    refuses(
        game(terminal_reward=lambda m: jnp.zeros((S, A))),
        r"terminal_reward\(...\) must have shape \(num_states,\) = \(4,\), but has shape \(4, 2\)",
    )
    refuses(
        game(terminal_reward=lambda m: jnp.full(S, jnp.nan)),
        "Good.terminal_reward: in state 0, the reward is nan",
    )
    refuses(
        game(terminal_reward=lambda m: m.joint[:, 0]),
        "Good.terminal_reward fails.*read only mean_field.states in terminal_reward",
    )


def test_an_if_on_time():
    def reward(t, mean_field):
        if t == 0:
            return jnp.zeros((S, A))
        return jnp.ones((S, A))

    refuses(
        game(reward=reward),
        r"Good.reward cannot be compiled at line \d+ of test_checks.py \(`if t == 0:`\).*Write "
        r"jnp.where\(t == 0, a, b\)",
    )


def test_numpy_on_the_crowd():
    refuses(
        game(transition=lambda t, m: nf.Dense(np.asarray(m.states) * np.ones((S, A, S)))),
        "Good.transition cannot be compiled.*and jnp in place of np",
    )


def test_any_other_error_keeps_its_line():
    refuses(
        game(reward=lambda t, m: m.nothing),
        r"Good.reward fails at line \d+ of test_checks.py \(`.*`\): AttributeError: .*nothing",
    )


class Stay(nf.StationaryGame):
    num_states: int = S
    num_actions: int = A
    discount: float = 0.9
    scale: float = 1.0
    bonus: float = 0.0

    def initial(self):
        return np.eye(S)[0]

    def transition(self, mean_field):
        return nf.Dense(self.scale * Dense().dense())

    def reward(self, mean_field):
        return jnp.full((S, A), self.bonus) - mean_field.states[:, None]


def test_stationary_games(precision):
    checks.check_game(Stay())
    for discount in (1.0, -0.1, np.nan):
        refuses(Stay(discount=discount), r"Stay.discount must lie in \[0, 1\), not ")
    refuses(Stay(scale=0.5), "Stay.transition: at state 0, action 0, .* sum to 1, but sum to 0.5")
    refuses(Stay(bonus=np.inf), "Stay.reward: at state 0, action 0, the reward is inf")


@pytest.mark.slow
def test_large_games_are_checked_without_a_table():
    large = nf.games.BeachBar(num_states=60_000, horizon=60)  # a table would take 86 GB
    checks.check_game(large)
    refuses(
        eqx.tree_at(lambda g: g._successors, large, large._successors + 1),
        "successor 60000 is not one of the 60000 states",
    )
