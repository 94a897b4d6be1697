"""A crowd learnt from how it moved, and asked what it would have done otherwise.

The rules say that agents keep near one another. The data say more: when a gate opens, everybody
drifts on. A neural drift learns that from six crowds, whose gates opened at other times; then the
gate opens when it never did, or stays shut.
"""

import equinox as eqx
import jax
import numpy as np

import nashfield as nf
from nashfield import Scalar, scalar
from nashfield.neural import Inputs, Observations

SPEED, SIGMA = 1.5, 0.3


class Flock(nf.DifferentialGame):
    """Agents on a line pay for their distance from the crowd's mean."""

    nu: Scalar = eqx.field(converter=scalar, default=SIGMA**2 / 2)
    common_noise: Scalar = eqx.field(converter=scalar, default=0.0)
    duration: Scalar = eqx.field(converter=scalar, default=2.0)
    horizon: int = 20
    state_dim: int = eqx.field(init=False, default=1)
    control_dim: int = eqx.field(init=False, default=1)

    def initial(self):
        """Where agents begin."""
        return nf.Gaussian([0.0], [[0.04]])

    def statistic(self, mean_field):
        """What they look at."""
        return mean_field.mean()[0]

    def cost(self, t, x, statistic):
        """What one in x pays per unit of time."""
        return (x[0] - statistic) ** 2 / 2


def opening_at(*times):
    """An input that is 1 from the opening on; one a crowd."""
    marks = np.arange(21) / 10
    return marks, (marks >= np.asarray(times)[:, None])[..., None].astype(float)


# What was seen: 6 crowds of 60 agents at 8 times.
gates = np.array([0.0, 0.4, 0.8, 1.2, 1.6, 2.0])
times = np.linspace(0.25, 2.0, 8)
rng, dt = np.random.default_rng(0), 0.01
x, seen = rng.normal(0.0, 0.2, (6, 60)), []
for step in range(200):
    drift = x.mean(1, keepdims=True) - x + SPEED * (step * dt >= gates - 1e-9)[:, None]
    x = x + drift * dt + SIGMA * dt**0.5 * rng.normal(size=x.shape)
    if (step + 1) % 25 == 0:
        seen.append(x)
states = np.stack(seen, 1)[..., None]  # (games, times, agents, 1)

key = jax.random.key(0)
model = nf.neural.NeuralMeanFieldGame(Flock(), drift=(16,), diffusion=None, num_inputs=1, key=key)
observed = Observations(times, states, Inputs(*opening_at(*gates)))
fit = nf.neural.fit(model, observed, num_steps=200, key=key)
print(fit)

print("\ngate opens     mean at the end   of the truth")
for gate in (1.0, 2.0):
    marks, values = opening_at(gate)
    inputs = Inputs(marks, values[0])
    end = fit.model.simulate(key, num_agents=5000, times=[2.0], inputs=inputs)
    print(f"{gate:10.1f}  {float(end.mean()):18.3f}  {SPEED * (2 - gate):13.3f}")
gain = fit.model.exploitability(inputs=inputs, key=key)
print(f"\nan agent that chose its own drift, the gate being shut, would gain {gain}")
