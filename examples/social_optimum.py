"""What is best for one against what is best for all: equilibrium and social optimum of a network.

A machine is repaired once its state, 0 healthy and 1 worst, reaches a threshold; it costs more
among unhealthy ones. Each owner alone repairs too late, since the others gain as well.
"""

import equinox as eqx
import jax

import nashfield as nf

jax.config.update("jax_enable_x64", True)

game = nf.games.MalwareSpread(num_states=101, inclusive=True)
health = game.features()[:, 0]
start = nf.policies.SoftThreshold(theta=0.3, temperature=0.05)


@eqx.filter_jit
def report(policy):
    """Mean state, social welfare and exploitability."""
    crowd = nf.stationary_mean_field(game, policy.table(game))
    return (
        crowd.expect(health),
        nf.social_welfare(game, policy),
        nf.exploitability(game, policy),
    )


print(f"threshold {float(start.theta):.3f}: one owner alone gains by the gradient")
print(f"  {float(nf.partial_gradient(game, start).theta):+.4f}, but all of them together by")
print(f"  {float(nf.total_gradient(game, start).theta):+.4f} for each unit of the threshold")
print("\nclimbing             threshold  mean state   welfare  exploitability")
for name, solver in (
    ("one for oneself", nf.LocalEquilibrium(start)),
    ("all for all", nf.LocalSocialOptimum(start)),
):
    policy = nf.solve(game, solver, num_iterations=300).policy
    mean, welfare, gap = map(float, report(policy))
    print(f"{name:20} {float(policy.theta):9.3f} {mean:11.4f} {welfare:9.4f} {gap:15.2e}")

exact = nf.solve(game, nf.ExactEquilibrium(), num_iterations=10)
mean = float(exact.flow.expect(health))
line = f"{exact.social_welfare:9.4f} {exact.exploitability:15.2e}"
print(f"{'exact equilibrium':20} {'':9} {mean:11.4f} {line}")
