"""What a crowd loses by playing an equilibrium in place of its best common policy."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.dynamics.linear import discounted
from nashfield.dynamics.stationary import settle
from nashfield.dynamics.stationary_values import stage
from nashfield.games.base import StationaryGame
from nashfield.policies import AbstractPolicy, as_table
from nashfield.typing import Array

_NUM_RANDOM_STARTS = 2
# Probabilities below exp of this count for nothing, and yet grow back within a few steps.
_LEAST_LOGIT = -50.0


class Anarchy(eqx.Module):
    """Social welfare of a policy beside the best that was found.

    Attributes:
        welfare: J of the policy.
        optimum: the largest J that was found.
        gap: optimum - welfare >= 0.
        ratio: how many times worse the policy is, >= 1: welfare / optimum where both are costs
            (negative), optimum / welfare where both are gains; NaN where the signs differ.
        policy: (S, A), which attains the optimum.
    """

    welfare: Float[Array, "*batch"]
    optimum: Float[Array, "*batch"]
    policy: Float[Array, "*batch S A"]

    @property
    def gap(self) -> Float[Array, "*batch"]:
        """What everyone would gain."""
        return self.optimum - self.welfare

    @property
    def ratio(self) -> Float[Array, "*batch"]:
        """How many times worse the policy is."""
        costs = self.welfare / self.optimum
        ratio = jnp.where(self.optimum < 0, costs, 1 / costs)
        return jnp.where(self.optimum * self.welfare > 0, ratio, jnp.nan)


def price_of_anarchy(
    game: Any,
    policy: Float[Array, "..."] | AbstractPolicy,
    *,
    num_iterations: int = 200,
) -> Anarchy:
    """Compares the social welfare of `policy`, an equilibrium say, with the social optimum.

    The optimum is sought by ascent along the exact total gradient over all tables
    softmax(logits), from `policy`, from the uniform policy, and from two random ones that are
    always the same. Each state's logits move by what its actions gain, the crowd's answer included,
    as in natural policy gradient (Kakade 2001); a step that loses is taken back and shortened. So
    it is a local optimum, and the gap a lower bound of the true one. Source of the notion for
    mean-field games: Carmona, Graves and Tan (2019), "Price of anarchy for mean field games".

    Args:
        game: a StationaryGame.
        policy: (S, A), rows sum to 1, or a policy with parameters.
        num_iterations: at most so many steps; fewer once no action promises more than rounding, or
            no step leads up.

    Returns:
        Welfare, optimum, and the policy that attains it.

    Raises:
        TypeError: the game has a horizon, or its states are points.
        ValueError: it is no policy of this game.
    """
    if not isinstance(game, StationaryGame):
        raise TypeError(
            "price_of_anarchy needs a game without time on finitely many states, a "
            f"StationaryGame, which {type(game).__name__} is not"
        )
    return _search(game, jnp.asarray(as_table(game, policy), float), jnp.asarray(num_iterations))


class _Place(eqx.Module):
    """A policy on the way up.

    Attributes:
        logits: (S, A), normalised.
        value: J.
        gains: (S, A), where the logits are to go.
        promise: what the best actions together gain to first order.
    """

    logits: Float[Array, "S A"]
    value: Float[Array, ""]
    gains: Float[Array, "S A"]
    promise: Float[Array, ""]


@eqx.filter_jit
def _search(game, policy, num_iterations) -> Anarchy:
    shape = (_NUM_RANDOM_STARTS, policy.shape[0])
    concentration = jnp.ones(policy.shape[1], policy.dtype)
    drawn = jax.random.dirichlet(jax.random.key(0), concentration, shape, policy.dtype)
    uniform = jnp.full_like(policy, 1 / policy.shape[1])
    starts = jnp.log(jnp.concatenate([policy[None], uniform[None], drawn]))
    values, places = jax.lax.map(lambda logits: _climb(game, logits, num_iterations), starts)
    best = jnp.argmax(jnp.where(jnp.isfinite(places.value), places.value, -jnp.inf))
    return Anarchy(values[0], places.value[best], jax.nn.softmax(places.logits[best]))


def _climb(game, logits, num_iterations) -> tuple[Float[Array, ""], _Place]:
    """J at the start, and where the ascent ends."""
    tolerance = 1e-3 * jnp.sqrt(jnp.finfo(logits.dtype).eps)
    infinity = jnp.asarray(jnp.inf, logits.dtype)

    def climbing(carry):
        here, _, step, count = carry
        rising = here.promise > tolerance * jnp.maximum(1, jnp.abs(here.value))
        moving = step * jnp.max(jnp.abs(here.gains)) > tolerance
        return (count == 0) | rising & moving & (count <= num_iterations)

    def climb(carry):
        here, start, step, count = carry
        there = _look(game, here.logits + step * here.gains)
        start = jnp.where(count == 0, there.value, start)
        better = (there.value >= here.value) | (count == 0)
        here = jax.tree.map(lambda new, old: jnp.where(better, new, old), there, here)
        # The first step moves no logit by more than one.
        ahead = jnp.where(count == 0, 1 / jnp.max(jnp.abs(here.gains)), 2 * step)
        return here, start, jnp.where(better, ahead, step / 4), count + 1

    begin = _Place(jnp.maximum(logits, _LEAST_LOGIT), -infinity, jnp.zeros_like(logits), infinity)
    here, start, *_ = jax.lax.while_loop(
        climbing, climb, (begin, -infinity, jnp.zeros_like(infinity), 0)
    )
    return start, here


def _look(game, logits) -> _Place:
    logits = jnp.maximum(jax.nn.log_softmax(logits), _LEAST_LOGIT)
    table = jax.nn.softmax(logits)
    find = jax.value_and_grad(lambda *args: _value(game, *args), (0, 1), has_aux=True)
    (value, states), (slope, visits) = find(table, jnp.zeros_like(table[:, 0]))
    slope = slope - jnp.sum(table * slope, -1, keepdims=True)
    # Along the slope itself states that are seldom seen would hardly move.
    weight = jnp.maximum(visits + states, jnp.finfo(table.dtype).tiny ** 0.5)
    return _Place(logits, value, slope / weight[:, None], jnp.sum(jnp.max(slope, -1)))


def _value(game, table, bonus) -> tuple[Float[Array, ""], Float[Array, "S"]]:
    """J against the crowd that `table` makes, and that crowd.

    The derivative by `bonus` (S,), a reward for being somewhere, counts discounted visits.
    """
    mean_field, _ = settle(game, table)
    kernel, reward, discount = stage(game, mean_field, table.dtype)
    values = discounted(kernel, table, jnp.sum(table * reward, -1) + bonus, discount)
    initial = jnp.asarray(game.initial(), table.dtype)
    return jnp.dot(initial, values, precision="highest"), mean_field.states
