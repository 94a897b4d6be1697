"""`nashfield check`: is a saved answer as good as it says?"""

import argparse
from typing import Any

from nashfield.cli.saved import load_run

DIFFERENT = 1
# A difference of so many standard errors is no chance.
_STANDARD_ERRORS = 5
_NUM_AGENTS = 20_000


def main(args: argparse.Namespace) -> int:
    """Recomputes flow and exploitability of the saved policy, and compares."""
    solution = load_run(args)
    from nashfield.cli.check_learnt import play_again
    from nashfield.games.continuous import ContinuousGame
    from nashfield.games.continuous_stationary import ContinuousStationaryGame
    from nashfield.games.rates import RateGame
    from nashfield.solvers.deep_play import AbstractDeepPlay

    recompute = _recompute
    if isinstance(solution.game, ContinuousGame):
        recompute = _recompute_affine
    if isinstance(solution.game, RateGame):
        recompute = _recompute_actions
    if isinstance(solution.solver, AbstractDeepPlay):
        recompute = play_again
    if isinstance(solution.game, ContinuousStationaryGame):
        recompute = _play
    found, faults = recompute(solution)
    print(found)
    print("\n".join(faults) if faults else "the files agree with the game")
    return DIFFERENT if faults else 0


def _recompute(solution: Any) -> tuple[str, list[str]]:
    """What is found, to all digits, and what is wrong."""
    import equinox as eqx
    import numpy as np

    from nashfield.dynamics import sweep
    from nashfield.policies import AbstractPolicy

    game, table = solution.game, solution.policy
    # What was found in single precision is known to single precision.
    rtol = 1e-9 if solution.history["exploitability"].dtype == np.float64 else 1e-4
    faults = []
    if isinstance(table, AbstractPolicy):
        table = np.asarray(table.table(game), float)
        off = float(np.abs(table - solution.flow.policy).max())
        if not off <= 100 * rtol:
            faults.append(f"the table is not that of the parameters, by {off:.1e}")
    evaluate = eqx.filter_jit(sweep)
    again, uniform = (evaluate(game, p) for p in (table, np.full_like(table, 1 / game.num_actions)))
    found, recorded = float(again.exploitability), solution.exploitability
    rows = float(np.abs(table.sum(-1) - 1).max())
    flow = float(np.abs(np.asarray(again.flow.states) - solution.flow.states).max())
    if table.min() < 0 or not rows <= 100 * rtol:
        faults.append(f"the policy is none: its rows sum to 1 only within {rows:.1e}")
    if not flow <= 100 * rtol:
        faults.append(f"the flow is not that of the policy, by {flow:.1e}")
    if not abs(recorded - found) <= rtol * max(found, float(uniform.exploitability)):
        faults.append(f"the recorded exploitability is off by {abs(recorded - found):.1e}")
    return _beside(solution, f"{found:.17g}"), faults


def _recompute_affine(solution: Any) -> tuple[str, list[str]]:
    """What is found of an affine policy, or a pool of them, and what is wrong."""
    import jax
    import numpy as np

    from nashfield.learners.riccati import affine_sweep

    game = solution.game
    again = affine_sweep(game, solution.policy)
    rtol = 1e-9 if solution.history["exploitability"].dtype == np.float64 else 1e-4
    found, recorded = float(again.exploitability), solution.exploitability
    faults = []
    pairs = zip(jax.tree.leaves(again.flow), jax.tree.leaves(solution.flow), strict=True)
    flow = max(float(np.abs(np.asarray(new) - old).max()) for new, old in pairs)
    if not flow <= 100 * rtol * (1 + abs(float(again.value))):
        faults.append(f"the flow is not that of the policy, by {flow:.1e}")
    if not abs(recorded - found) <= rtol * (found + abs(float(again.value))):
        faults.append(f"the recorded exploitability is off by {abs(recorded - found):.1e}")
    return _beside(solution, f"{found:.17g}"), faults


def _recompute_actions(solution: Any) -> tuple[str, list[str]]:
    """What is found of actions in continuous time, and what is wrong."""
    import numpy as np

    from nashfield.games.rate_equilibria import judge_actions

    again = judge_actions(solution.game, solution.policy)
    rtol = 1e-9 if solution.history["exploitability"].dtype == np.float64 else 1e-4
    found, recorded = float(again.exploitability), solution.exploitability
    faults = []
    flow = float(np.abs(np.asarray(again.flow.states) - solution.flow.states).max())
    if not flow <= 100 * rtol:
        faults.append(f"the flow is not that of the policy, by {flow:.1e}")
    if not abs(recorded - found) <= rtol * (found + abs(float(again.value))):
        faults.append(f"the recorded exploitability is off by {abs(recorded - found):.1e}")
    return _beside(solution, f"{found:.17g}"), faults


def _play(solution: Any) -> tuple[str, list[str]]:
    """What is found against the saved crowd by playing, and what is wrong."""
    import math

    import jax
    import jax.numpy as jnp

    from nashfield.dynamics.agents import agents_of
    from nashfield.dynamics.draws import Draws
    from nashfield.dynamics.rollout import play_returns

    game, crowd, solver = solution.game, solution.flow, solution.solver
    returns = play_returns(
        agents_of(game, solution.policy),
        crowd,
        Draws(jax.random.key(0)),
        num_trajectories=_NUM_AGENTS,
        num_steps=solver.num_evaluation_steps,
    )
    found = float(game.optimal_value(crowd)) - float(jnp.mean(returns))
    shares = 1 / _NUM_AGENTS + 1 / solver.num_evaluations
    error = float(jnp.std(returns)) * math.sqrt(shares)
    faults = []
    if not abs(found - solution.exploitability) <= _STANDARD_ERRORS * error:
        faults.append(
            "the recorded exploitability is off by "
            f"{abs(found - solution.exploitability) / error:.1f} standard errors"
        )
    return _beside(solution, f"{found:.6g} by {_NUM_AGENTS} agents"), faults


def _beside(solution: Any, found: str) -> str:
    return f"exploitability {found} (recorded {solution.exploitability:.17g})"
