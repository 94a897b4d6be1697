"""The kernel of a chosen move followed by chance."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from nashfield.games.kernels import Kernel, predecessor_lists
from nashfield.typing import Array


class Routes(eqx.Module):
    """Where moves and chance lead; `routes` makes it from the first two tables.

    Attributes:
        moves: (S, A) the place z in 0..Z-1 to which each action leads. Places may be the states,
            or more than these (beyond a wall, say, until chance has acted).
        outcomes: (Z, J) the state that each outcome of chance makes of each place.
        into_places: (Z, M) predecessor lists of `moves`.
        into_states: (S, N) predecessor lists of `outcomes`.
    """

    moves: Int[Array, "S A"]
    outcomes: Int[Array, "Z J"]
    into_places: Int[Array, "Z M"]
    into_states: Int[Array, "S N"]


def routes(moves: np.ndarray, outcomes: np.ndarray) -> Routes:
    """Turns both tables around once.

    Args:
        moves: (S, A) places.
        outcomes: (Z, J) states.

    Raises:
        ValueError: a few places or states draw nearly everything; use `Sparse` then.
    """
    into_places = predecessor_lists(moves[:, :, None], len(outcomes))
    into_states = predecessor_lists(outcomes[:, :, None], len(moves))
    if into_places is None or into_states is None:
        raise ValueError("moves or outcomes lead to too few places for lists: use Sparse")
    return Routes(moves.astype(np.int32), outcomes.astype(np.int32), into_places, into_states)


class TwoStage(Kernel):
    """A move, then chance: A + J look-ups a state where `Sparse` needs A * J.

    P(y | x, a) = sum_j p(z, j) [outcomes(z, j) = y] with z = moves(x, a).

    Attributes:
        routes: where moves and chance lead.
        probabilities: (Z, J) of the outcomes at each place, or (1, J).
    """

    routes: Routes
    probabilities: Float[Array, "#Z J"]

    def expect(self, values: Float[Array, "S"]) -> Float[Array, "S A"]:
        """See `Kernel.expect`."""
        places = jnp.sum(self.probabilities * jnp.asarray(values)[self.routes.outcomes], -1)
        return places[self.routes.moves]

    def push(self, mass: Float[Array, "S A"]) -> Float[Array, "S"]:
        """See `Kernel.push`."""
        places = _gather(jnp.asarray(mass), self.routes.into_places)
        return _gather(places[:, None] * self.probabilities, self.routes.into_states)

    def dense(self) -> Float[Array, "S A S"]:
        """See `Kernel.dense`."""
        num_places, num_outcomes = self.routes.outcomes.shape
        table = jnp.zeros((num_places, self.routes.moves.shape[0]))
        rows = np.arange(num_places)[:, None]
        probabilities = jnp.broadcast_to(self.probabilities, (num_places, num_outcomes))
        return table.at[rows, self.routes.outcomes].add(probabilities)[self.routes.moves]

    def quantile(
        self, level: Float[Array, "N"], states: Int[Array, "N"], actions: Int[Array, "N"]
    ) -> Int[Array, "N"]:
        """See `Kernel.quantile`; looks at the J outcomes only."""
        places = jnp.asarray(self.routes.moves)[states, actions]
        outcomes = jnp.asarray(self.routes.outcomes)
        law = jnp.broadcast_to(self.probabilities, outcomes.shape)[places]
        cumulated = jnp.cumsum(law, -1)
        target = level * cumulated[:, -1]
        choice = jnp.sum(cumulated <= target[:, None], -1)
        return outcomes[places, choice].astype(states.dtype)


def _gather(table: Array, predecessors: Array) -> Float[Array, "rows"]:
    """Sums of the entries of `table` that `predecessors` name; padding counts as 0."""
    entries = jnp.ravel(table).at[predecessors].get(mode="fill", fill_value=0)
    return jnp.sum(entries, axis=-1)
