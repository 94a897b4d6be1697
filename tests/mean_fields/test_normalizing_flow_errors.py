"""Samples and options that no normalizing flow can be fitted to."""

import jax
import numpy as np
import pytest

from nashfield.mean_fields import Flow, Gaussian, fit_normalizing_flow
from nashfield.results import ParameterError

GOOD = np.random.default_rng(0).uniform(0, 0.5, (2, 10, 1))


@pytest.mark.parametrize(
    ("samples", "options", "message"),
    [
        (GOOD[0], {}, r"shape \(T \+ 1, N, D\) with N of at least 2 agents, not \(10, 1\)"),
        (GOOD[:, :1], {}, r"at least 2 agents, not \(2, 1, 1\)"),
        (np.where(np.arange(10)[:, None] == 3, np.nan, GOOD), {}, r"= \(0, 3, 0\) is not"),
        (GOOD, {"domain": (np.zeros(2), np.ones(2))}, r"sides of shape \(1,\), not \(2,\)"),
        (GOOD, {"domain": (np.ones(1), np.zeros(1))}, "low must lie below its high"),
        (GOOD, {"domain": (np.zeros(1), np.full(1, 0.1))}, "samples lie outside of the domain"),
        (GOOD, {"domain": (np.zeros(1), np.full(1, np.inf))}, "bounded in every coordinate"),
        (GOOD, {"kind": "planar"}, "\"coupling\" or a flowjax bijection, not 'planar'"),
        (GOOD, {"kind": len}, r"of shape \(1,\) and cond_shape \(1,\), not None"),
        (GOOD, {"base": "cauchy"}, 'base must be "normal" or "uniform", not \'cauchy\''),
        (GOOD, {"base": "uniform"}, 'base "uniform" needs a domain'),
        (GOOD, {"num_layer": 2}, "no option 'num_layer': known are kind, base, num_layers"),
        (GOOD, {"num_layers": 0}, "num_layers must be at least 1, not 0"),
        (GOOD, {"learning_rate": 0.0}, "learning_rate must be finite and greater than 0, not 0.0"),
        (GOOD, {"held_out": 1.0}, "held_out must lie between 0 and 1, not 1.0"),
        (Flow(Gaussian(np.zeros((2, 1)), np.ones((2, 1, 1)))), {}, "fitted to samples: draw them"),
    ],
)
def test_bad_input(samples, options, message):
    with pytest.raises((ValueError, ParameterError), match=message):
        fit_normalizing_flow(samples, key=jax.random.key(0), **options)
