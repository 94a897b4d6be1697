"""Messages about a solver's numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashfield.results import ParameterError
from nashfield.solvers._checks import check_number


class Owner(eqx.Module):
    rate: object


@pytest.mark.parametrize("value", ["fast", None, True, 1, 0.1 + 1j, np.array(True)])
def test_not_a_number(value):
    # Plain Python numbers too: `typing.scalar` has turned them into arrays before.
    with pytest.raises(ParameterError, match=r"Owner: rate must be a number, not"):
        check_number(Owner(value), "rate")


def test_several_numbers():
    with pytest.raises(
        ParameterError, match=r"a single number, not an array of shape \(2,\).*vmap"
    ):
        check_number(Owner(jnp.ones(2)), "rate")


@pytest.mark.parametrize(
    ("value", "limits", "message"),
    [
        (0.0, {"above": 0.0}, "must be finite, above 0, not 0"),
        (-1.0, {"at_least": 0.0, "below": 1.0}, "must be finite, at least 0 and below 1, not -1"),
        (1.0, {"at_least": 0.0, "below": 1.0}, "must be finite, at least 0 and below 1, not 1"),
        (
            1.5,
            {"at_least": 0.0, "at_most": 1.0},
            "must be finite, at least 0 and at most 1, not 1.5",
        ),
        (1.5, {"at_least": 1.0, "whole": True}, "must be a whole number, at least 1, not 1.5"),
        (float("nan"), {"above": 0.0}, "must be finite, above 0, not nan"),
        (float("inf"), {"above": 0.0}, "must be finite, above 0, not inf"),
    ],
)
def test_out_of_range(value, limits, message):
    for array in (np.asarray(value), jnp.asarray(value)):
        with pytest.raises(ParameterError, match=f"Owner: rate {message}"):
            check_number(Owner(array), "rate", **limits)


def test_limits_that_are_met_and_traced_values_pass():
    check_number(Owner(np.asarray(0.0)), "rate", at_least=0.0, below=1.0)
    check_number(Owner(np.asarray(3.0)), "rate", at_least=1.0, whole=True)

    def traced(value):
        check_number(Owner(value), "rate", above=0.0)
        return value

    jax.vmap(traced)(jnp.array([-1.0, 1.0]))
    jax.jit(traced)(-1.0)
