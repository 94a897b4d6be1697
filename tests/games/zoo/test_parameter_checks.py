"""Checks of parameters: what is no number, and what jit traces."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashfield.checks import check_number, check_probability, check_size


@pytest.mark.parametrize("value", [2.0, "2", True, None])
def test_size_must_be_whole(value):
    with pytest.raises(ValueError, match="size must be a whole number, not"):
        check_size("size", value)


@pytest.mark.parametrize("value", ["1", None, True])
def test_number_must_be_one(value):
    with pytest.raises(ValueError, match="weight must be a number, not"):
        check_number("weight", value)


def test_entries_are_named():
    with pytest.raises(ValueError, match=r"weight must lie between 0 and 1, not 1\.5"):
        check_probability("weight", np.array([0.2, 1.5, -1.0]))


def test_tracers_pass():
    jax.jit(lambda p: check_probability("p", p))(2.0)
    jax.vmap(lambda p: check_number("p", p, above=0.0))(jnp.array([-1.0, 1.0]))


def test_jax_arrays_are_checked():
    check_probability("p", jnp.array(0.5))
    with pytest.raises(ValueError, match="p must lie"):
        check_probability("p", jnp.array(2.0))
