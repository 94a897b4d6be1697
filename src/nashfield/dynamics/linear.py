"""Linear systems of one Markov chain: by elimination where a table fits, else by iteration."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.dynamics.elimination import solve
from nashfield.games.kernels import Kernel
from nashfield.typing import Array, ScalarLike

# Above so many states no (S, S) table is made; a kernel may be written out as (S, A, S).
MAX_TABLE_STATES = 1024


def frozen(tree: Any) -> Any:
    """The same numbers, which no derivative passes; what is no array stays what it is."""
    stop = jax.lax.stop_gradient
    return jax.tree.map(lambda x: stop(x) if eqx.is_inexact_array(x) else x, tree)


def chain(kernel: Kernel, policy: Float[Array, "S A"]) -> Float[Array, "S S"]:
    """P_pi(y | x) = sum_a pi(a | x) P(y | x, a), rows of a stochastic matrix."""
    return jnp.einsum("xa,xay->xy", policy, kernel.dense(), precision="highest")


def along(kernel: Kernel, policy: Float[Array, "S A"], values: Float[Array, "S"]) -> Array:
    """P_pi v without a table."""
    return jnp.sum(policy * kernel.expect(values), -1)


def discounted(
    kernel: Kernel,
    policy: Float[Array, "S A"],
    reward: Float[Array, "S"],
    discount: ScalarLike,
) -> Float[Array, "S"]:
    """Solves v = reward + discount * P_pi v; differentiable in every argument.

    Args:
        kernel: how one agent moves.
        policy: pi.
        reward: of one stage.
        discount: below 1.
    """
    if reward.shape[0] <= MAX_TABLE_STATES:
        matrix = jnp.eye(reward.shape[0], dtype=reward.dtype) - discount * chain(kernel, policy)
        return solve(matrix, reward)
    return iterated(lambda v: v - discount * along(kernel, policy, v), reward)


def iterated(operator: Callable, right: Float[Array, "S"]) -> Float[Array, "S"]:
    """Solves operator(v) = right by BiCGSTAB (van der Vorst 1992); differentiable."""
    tolerance = 10 * float(jnp.finfo(right.dtype).eps)

    def descend(operator, right):
        return jax.scipy.sparse.linalg.bicgstab(operator, right, tol=tolerance, maxiter=10_000)[0]

    # That of JAX takes its start from the right-hand side, which reverse mode refuses.
    return jax.lax.custom_linear_solve(operator, right, descend, descend)
