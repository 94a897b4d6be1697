"""Sixteen learning rates at once: a solver's numbers are arrays, so vmap runs over them."""

import equinox as eqx
import jax
import jax.numpy as jnp

import nashfield as nf

jax.config.update("jax_enable_x64", True)

game = nf.games.SusceptibleInfected(horizon=20)
learning_rates = jnp.logspace(-3, 2, 16)


@eqx.filter_jit
@eqx.filter_vmap
def final_exploitability(learning_rate):
    """Exploitability after 300 iterations of mirror descent."""
    solver = nf.OnlineMirrorDescent(learning_rate=learning_rate)
    return nf.solve(game, solver, num_iterations=300).history["exploitability"][-1]


found = final_exploitability(learning_rates)
for learning_rate, exploitability in zip(learning_rates, found, strict=True):
    print(f"learning rate {float(learning_rate):9.4f}: exploitability {float(exploitability):.3e}")
print(f"best: {float(learning_rates[jnp.argmin(found)]):.4f}")
