"""Whether a training can go on from what it is given: each mismatch is named, by every learner."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.learners.probes import Probe, crowd

from nashfield.learners import PPO, SAC, Buffer, Cloning
from nashfield.learners.response import check_start
from nashfield.policies import Affine, GaussianNetwork
from nashfield.results import ParameterError

KEY = jax.random.key(2)


class Wide(Probe):
    control_dim: int = 2

    @property
    def control_bounds(self):
        return np.full(2, -np.inf), np.full(2, np.inf)


class Waves(Probe):
    def observe(self, x):
        return jnp.concatenate([jnp.cos(x), jnp.sin(x)])


def begun(game, num_features=1):
    zero = jnp.zeros(num_features)
    return GaussianNetwork.begin(game, zero, zero + 1, hidden=(4,), key=KEY)


MISMATCHES = [
    (Affine(np.zeros((2, 1, 1)), np.zeros((2, 1))), "a Response or a GaussianNetwork, not Affine"),
    (begun(Probe(horizon=3)), "for a game of horizon 3, but Probe has 2"),
    (begun(Waves(), 2), "for this many observed numbers: 2, but Probe has 1"),
    (begun(Wide()), "for this many controls: 2, but Probe has 1"),
    (begun(Probe(bound=2.0)), r"actions in \[-2.0\]..\[2.0\], but those of Probe are in \[-inf\]"),
    (jax.tree.map(lambda x: jnp.stack([x, x]), begun(Probe())), r"leading axes \(2,\): take one"),
]


@pytest.mark.parametrize(("start", "message"), MISMATCHES)
def test_what_does_not_fit_is_named(start, message):
    with pytest.raises(ParameterError, match=message):
        check_start(Probe(), start)


def test_what_fits_passes():
    check_start(Probe(), None)
    check_start(Probe(), begun(Probe()))
    check_start(Probe(bound=0.1), begun(Probe(bound=0.1)))


@pytest.mark.parametrize("learner", [PPO(), SAC()])
def test_learners_check(learner):
    with pytest.raises(ParameterError, match="horizon 3, but Probe has 2"):
        learner.best_response(Probe(), crowd(), key=KEY, start=begun(Probe(horizon=3)))


def test_cloning_checks():
    ones = jnp.ones((2, 3, 1))
    buffer = Buffer.empty(Probe(), capacity=1, num_agents=3).put(ones, ones)
    with pytest.raises(ParameterError, match="horizon 3, but Probe has 2"):
        Cloning().fit(Probe(), buffer, key=KEY, start=begun(Probe(horizon=3)))
