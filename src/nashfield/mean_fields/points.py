"""What the laws on points ask of their arguments."""

from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from nashfield.typing import Array


def check_states(x: Any, state_dim: int, law: str) -> Array:
    """States that a density is asked at, as an array.

    Raises:
        ValueError: they are not points of R^D.
    """
    x = jnp.asarray(x)
    if x.ndim == 0 or x.shape[-1] != state_dim:
        raise ValueError(
            f"this {law} law lives on R^{state_dim}: its density is read at states of shape "
            f"(..., {state_dim}), not {x.shape}"
        )
    return x


def known(*arrays: Any) -> bool:
    """Whether numbers are there to look at: none is traced, and none is a mere shape."""
    return all(
        isinstance(a, np.ndarray | jax.Array) and not isinstance(a, jax.core.Tracer) for a in arrays
    )


def no_density(why: str) -> ValueError:
    """What is raised where the density of a law without one is asked."""
    return ValueError(
        f"log_density was asked of a law that has none: {why}. Start the crowd from a law that is "
        "spread out, add noise to the moves, or keep the density out of the reward"
    )
