"""Softmax policies: a table of logits, and a neural network."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield.games.base import StationaryGame
from nashfield.policies.parametric import AbstractPolicy
from nashfield.results import ParameterError
from nashfield.typing import Array


class Gibbs(AbstractPolicy):
    """softmax of one logit for every state and action of a finite game.

    Attributes:
        logits: (S, A); None stands for the uniform policy of whatever game it is used on.
    """

    logits: Float[Array, "S A"] | None = None

    @classmethod
    def of(cls, table: Float[Array, "S A"]) -> "Gibbs":
        """The policy with these probabilities; one that is 0 becomes 1e-12."""
        return cls(jnp.log(jnp.maximum(jnp.asarray(table), 1e-12)))

    def probabilities(self, features: Float[Array, "*N D"]) -> Float[Array, "*N A"]:
        """Refused: a table knows states by their number."""
        raise ParameterError(
            "Gibbs is a table over the states of a finite game; where states are points take "
            "Threshold, SoftThreshold or Neural"
        )

    def table(self, game: StationaryGame) -> Float[Array, "S A"]:
        """See `AbstractPolicy.table`."""
        shape = (game.num_states, game.num_actions)
        if self.logits is None:
            return jnp.full(shape, 1 / game.num_actions)
        if self.logits.shape != shape:
            raise ParameterError(
                f"Gibbs.logits has shape {self.logits.shape}, but the game has (num_states, "
                f"num_actions) = {shape}"
            )
        return jax.nn.softmax(jnp.asarray(self.logits))

    def begin(self, game: Any, *, key: PRNGKeyArray) -> "Gibbs":
        """See `AbstractPolicy.begin`."""
        if self.logits is not None:
            return self
        zeros = jnp.zeros((game.num_states, game.num_actions))
        return eqx.tree_at(lambda p: p.logits, self, zeros, is_leaf=lambda x: x is None)


class Neural(AbstractPolicy):
    """softmax of a tanh network of the features.

    Attributes:
        hidden: widths of the hidden layers.
        layers: weights; None until `begin` draws them for a game (each uniform in
            +-1/sqrt(inputs)).
    """

    hidden: tuple[int, ...] = eqx.field(static=True, default=(5, 5))
    layers: tuple[eqx.nn.Linear, ...] | None = None

    def __check_init__(self):
        if any(not isinstance(n, int) or n < 1 for n in self.hidden):
            raise ParameterError(f"hidden must hold widths of at least 1, not {self.hidden}")

    def probabilities(self, features: Float[Array, "*N D"]) -> Float[Array, "*N A"]:
        """See `AbstractPolicy.probabilities`."""
        if self.layers is None:
            raise ParameterError(
                "Neural has no weights yet: policy.begin(game, key=key) draws them"
            )
        x = jnp.asarray(features)
        for i, layer in enumerate(self.layers):
            x = x if i == 0 else jnp.tanh(x)
            x = jnp.dot(x, layer.weight.T, precision="highest") + jnp.asarray(layer.bias)
        return jax.nn.softmax(x)

    def begin(self, game: Any, *, key: PRNGKeyArray) -> "Neural":
        """See `AbstractPolicy.begin`."""
        if self.layers is not None:
            return self
        state_dim = np.shape(game.features())[1] if hasattr(game, "features") else game.state_dim
        widths = (state_dim, *self.hidden, game.num_actions)
        keys = jax.random.split(key, len(widths) - 1)
        layers = tuple(
            eqx.nn.Linear(inputs, outputs, key=key)
            for inputs, outputs, key in zip(widths, widths[1:], keys, strict=False)
        )
        return eqx.tree_at(lambda p: p.layers, self, layers, is_leaf=lambda x: x is None)
