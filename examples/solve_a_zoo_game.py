"""Solves the beach bar, checks the answer, and draws it."""

import jax

import nashfield as nf

jax.config.update("jax_enable_x64", True)

game = nf.games.BeachBar(num_states=50, horizon=15)

# How far from Nash is a crowd that walks at random?
print("uniform policy:", float(nf.exploitability(game, nf.uniform_policy(game))))

# Many tiny steps of mirror descent, compiled into one program.
solver = nf.OnlineMirrorDescent(learning_rate=0.1)
solution = nf.solve(game, solver, num_iterations=500)
print("mirror descent:", solution.exploitability)

# The number is of the policy that is returned, and anybody can compute it again.
assert abs(float(nf.exploitability(game, solution.policy)) - solution.exploitability) < 1e-9

# Where is the crowd at the end? Densest at the bar, in the middle.
crowd = solution.flow.states[-1]
print("most visited place:", int(crowd.argmax()), "share there:", float(crowd.max()))

solution.save("runs/beach-bar-example")
nf.plotting.plot_flow(solution).figure.savefig("runs/beach-bar-example/flow.png")
nf.plotting.plot_exploitability(solution).figure.savefig(
    "runs/beach-bar-example/exploitability.png"
)
