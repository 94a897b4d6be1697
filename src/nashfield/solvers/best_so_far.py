"""The best iterate of any solver."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.dynamics import sweep
from nashfield.games.base import Game
from nashfield.policies import as_table
from nashfield.solvers.base import AbstractSolver, Outcome, StepInfo
from nashfield.typing import Array


class Best(eqx.Module):
    """State of `BestSoFar`.

    Attributes:
        inner: the wrapped solver's own state, after the step that judged its last iterate.
        policy: the best iterate so far, (T, S, A) or a policy with parameters.
        info: what is known of it.
    """

    inner: Any
    policy: Any
    info: StepInfo


class BestSoFar(AbstractSolver):
    """Runs another solver and answers with its best iterate.

    Exploitability is not monotone along a run; here the history is its running minimum: an iterate
    that is worse, NaN or infinite changes nothing. An iterate is judged by the wrapped solver's
    next step, so `init` does one step already and the wrapped solver stays one step ahead: after k
    steps the answer is the best of the start and k iterates.

    Attributes:
        solver: what to run.
    """

    solver: AbstractSolver

    def init(self, game: Game, policy: Float[Array, "*T S A"], *, key: PRNGKeyArray) -> Best:
        """The start is the best so far."""
        init_key, step_key = jax.random.split(key)
        inner = self.solver.init(game, policy, key=init_key)
        start = self.solver.policy(game, inner)
        inner, info = self.solver.step(game, inner, key=step_key)
        return Best(inner, start, info)

    def step(self, game: Game, state: Best, *, key: PRNGKeyArray) -> tuple[Best, StepInfo]:
        """One step of the wrapped solver, which judges the iterate before it."""
        iterate = self.solver.policy(game, state.inner)
        inner, info = self.solver.step(game, state.inner, key=key)
        found, best = info.exploitability, state.info.exploitability
        better = jnp.isfinite(found) & ~(best <= found)  # true also where the start gave NaN
        policy, kept = jax.tree.map(
            lambda new, old: jnp.where(better, new, old).astype(old.dtype),
            (iterate, info),
            (state.policy, state.info),
        )
        return Best(inner, policy, kept), state.info

    def policy(self, game: Game, state: Best) -> Any:
        """The best so far."""
        return state.policy

    def outcome(self, game: Game, state: Best, *, key: PRNGKeyArray) -> Outcome:
        """See `AbstractSolver.outcome`; what is known is what the wrapped solver's step said."""
        swept = sweep(game, as_table(game, state.policy))
        return Outcome(state.policy, swept.flow, state.info, swept.settled)
