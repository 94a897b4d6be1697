"""MF-OMO: mean-field equilibria as minima of one function of occupation measures."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.dynamics import sweep
from nashfield.games.base import FiniteGame
from nashfield.mean_fields import FiniteMeanField
from nashfield.policies import uniform_policy
from nashfield.solvers._checks import check_number
from nashfield.solvers.base import AbstractSolver, StepInfo
from nashfield.solvers.online_mirror_descent import logits
from nashfield.typing import Array, Scalar, ScalarLike, scalar

# Share of the uniform policy mixed into the start: what nobody plays has no gradient.
_EXPLORATION = 1e-3


class Residuals(eqx.Module):
    """How far occupation measures and values are from those of an equilibrium.

    Attributes:
        flow: (T, S), mu_0 - initial law, and mu_{t+1} - push-forward of L_t.
        gaps: (T, S, A), V_t(x) - r_t(x,a) - sum_y P_t(y|x,a) V_{t+1}(y); nowhere negative if V are
            values that no deviation can beat.
    """

    flow: Float[Array, "T S"]
    gaps: Float[Array, "T S A"]


class Point(eqx.Module):
    """Where the minimisation stands.

    Attributes:
        logits: (T, S, A), L_t = softmax over all state-action pairs.
        values: (T, S), V_t(x) in units of `OccupationState.scale`.
    """

    logits: Float[Array, "T S A"]
    values: Float[Array, "T S"]


class OccupationState(eqx.Module):
    """State of MF-OMO.

    Attributes:
        point: where the minimisation stands.
        adam: moments of the gradient.
        scale: unit of rewards, the exploitability of the uniform policy.
    """

    point: Point
    adam: Any
    scale: Float[Array, ""]


def mf_omo_residuals(
    game: FiniteGame, crowd: FiniteMeanField, values: Float[Array, "T S"]
) -> Residuals:
    """Residuals of the two linear systems that an equilibrium solves.

    They are A_L L - b and c_L - A_L^T y of Guo, Hu and Zhang (2022), with y_t = V_{t+1}; A_L is
    never built: its rows are the kernels' `push`, its columns their `expect`.

    Args:
        game: the game.
        crowd: the occupation measure L, states (T, S) and policy (T, S, A) at t = 0..T-1.
        values: V_t(x) at t = 0..T-1; V_T is the terminal reward.
    """
    times = jnp.arange(game.horizon)
    arrivals = jax.vmap(lambda t, crowd: game.transition(t, crowd).push(crowd.joint))(times, crowd)
    terminal = jnp.asarray(game.terminal_reward(FiniteMeanField(arrivals[-1])), values.dtype)
    ahead = jnp.concatenate([values[1:], terminal[None]])

    def action_values(t, crowd, values_ahead):
        return game.reward(t, crowd) + game.transition(t, crowd).expect(values_ahead)

    gaps = values[..., None] - jax.vmap(action_values)(times, crowd, ahead)
    initial = jnp.asarray(game.initial(), arrivals.dtype)
    flow = crowd.states - jnp.concatenate([initial[None], arrivals[:-1]])
    return Residuals(flow, gaps)


def mf_omo_objective(
    residuals: Residuals,
    occupation: Float[Array, "T S A"],
    slacks: Float[Array, "T S A"],
    *,
    flow_weight: ScalarLike = 1.0,
    value_weight: ScalarLike = 1.0,
) -> Float[Array, ""]:
    """flow_weight |flow|^2 + value_weight |gaps - z|^2 + <z, L>, zero exactly at an equilibrium.

    Source: Guo, Hu and Zhang (2022), "MF-OMO: an optimization formulation of mean-field games",
    with weights 1; minimised over L_t in the simplex, V, and z >= 0. Their bounds on V and z only
    make the domain compact.

    Args:
        residuals: of L and V.
        occupation: L.
        slacks: z >= 0.
        flow_weight: price of a flow that the dynamics do not make.
        value_weight: price of values that do not match their slacks.
    """
    return (
        flow_weight * jnp.sum(residuals.flow**2)
        + value_weight * jnp.sum((residuals.gaps - slacks) ** 2)
        + jnp.sum(slacks * occupation)
    )


def best_slacks(
    gaps: Float[Array, "T S A"], occupation: Float[Array, "T S A"], value_weight: ScalarLike = 1.0
) -> Float[Array, "T S A"]:
    """The z >= 0 that minimises `mf_omo_objective`: max(gaps - L / (2 value_weight), 0)."""
    return jnp.maximum(gaps - occupation / (2 * value_weight), 0)


class MFOMO(AbstractSolver):
    """Adam on the MF-OMO objective over occupation measures and values.

    L_t is a softmax over state-action pairs; z is eliminated, since its minimiser has a closed form
    (`best_slacks`), which leaves the minima what they are. No monotonicity or contraction is
    needed, but the objective has local minima, and a small objective is not yet a small
    exploitability while flow_weight is too low for the length of the game. The start is L and V* of
    the first policy's own flow, where the objective is its exploitability (proposition 6). Source:
    Guo, Hu and Zhang (2022), "MF-OMO: an optimization formulation of mean-field games".

    Attributes:
        learning_rate: of Adam, > 0.
        flow_weight: see `mf_omo_objective`, in units that make rewards of order 1; > 0.
        value_weight: see `mf_omo_objective`, in the same units; > 0.
    """

    games: ClassVar[tuple[type, ...]] = (FiniteGame,)

    learning_rate: Scalar = eqx.field(converter=scalar, default=0.05)
    flow_weight: Scalar = eqx.field(converter=scalar, default=100.0)
    value_weight: Scalar = eqx.field(converter=scalar, default=10.0)

    def __check_init__(self):
        check_number(self, "learning_rate", above=0.0)
        check_number(self, "flow_weight", above=0.0)
        check_number(self, "value_weight", above=0.0)

    def init(
        self, game: FiniteGame, policy: Float[Array, "T S A"], *, key: PRNGKeyArray
    ) -> OccupationState:
        """L and V* of the policy's own flow, after a little exploration."""
        uniform = uniform_policy(game).astype(policy.dtype)
        reference = sweep(game, uniform)
        tiny = jnp.finfo(policy.dtype).eps * (1 + jnp.abs(reference.value))
        scale = jnp.where(reference.exploitability > tiny, reference.exploitability, 1)
        start = sweep(game, (1 - _EXPLORATION) * policy + _EXPLORATION * uniform)
        values = (start.state_values + start.regrets) / scale
        point = Point(logits(start.flow.joint), values.astype(policy.dtype))
        return OccupationState(point, _adam().init(point), scale.astype(policy.dtype))

    def step(
        self, game: FiniteGame, state: OccupationState, *, key: PRNGKeyArray
    ) -> tuple[OccupationState, StepInfo]:
        """One sweep for the exploitability, one gradient of the objective."""
        info = StepInfo.of(sweep(game, self.policy(game, state)))
        gradient = jax.grad(self.objective, argnums=1)(game, state.point, state.scale)
        direction, adam = _adam().update(gradient, state.adam)
        point = jax.tree.map(
            lambda x, d: (x - self.learning_rate * d).astype(x.dtype), state.point, direction
        )
        return OccupationState(point, adam, state.scale), info

    def policy(self, game: FiniteGame, state: OccupationState) -> Float[Array, "T S A"]:
        """L normalised: L_t(x, a) / sum_b L_t(x, b)."""
        return jax.nn.softmax(state.point.logits)

    def objective(
        self, game: FiniteGame, point: Point, scale: Float[Array, ""]
    ) -> Float[Array, ""]:
        """What is minimised, with the slacks at their best.

        Args:
            game: the game.
            point: L and V.
            scale: the unit of rewards.
        """
        weights = jax.nn.logsumexp(point.logits, axis=-1)
        crowd = FiniteMeanField(jax.nn.softmax(weights), jax.nn.softmax(point.logits))
        residuals = mf_omo_residuals(game, crowd, scale * point.values)
        residuals = Residuals(residuals.flow, residuals.gaps / scale)
        return mf_omo_objective(
            residuals,
            crowd.joint,
            best_slacks(residuals.gaps, crowd.joint, self.value_weight),
            flow_weight=self.flow_weight,
            value_weight=self.value_weight,
        )


def _adam() -> Any:
    import optax

    # Far below eps, but without it the derivative of the root is NaN where a gradient was always 0.
    return optax.scale_by_adam(eps_root=1e-30)
