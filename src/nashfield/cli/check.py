"""`nashfield check`: is a saved answer as good as it says?"""

import argparse

from nashfield.cli.saved import load_run

DIFFERENT = 1


def main(args: argparse.Namespace) -> int:
    """Recomputes flow and exploitability of the saved policy, and compares."""
    solution = load_run(args)
    import equinox as eqx
    import numpy as np

    from nashfield.dynamics import sweep

    game, policy = solution.game, solution.policy
    evaluate = eqx.filter_jit(sweep)
    again, uniform = (
        evaluate(game, p) for p in (policy, np.full_like(policy, 1 / policy.shape[2]))
    )
    found, recorded = float(again.exploitability), solution.exploitability
    rows = float(np.abs(policy.sum(-1) - 1).max())
    flow = float(np.abs(np.asarray(again.flow) - solution.flow.states).max())
    # What was found in single precision is known to single precision.
    rtol = 1e-9 if solution.history["exploitability"].dtype == np.float64 else 1e-4
    faults = []
    if policy.min() < 0 or not rows <= 100 * rtol:
        faults.append(f"the policy is none: its rows sum to 1 only within {rows:.1e}")
    if not flow <= 100 * rtol:
        faults.append(f"the flow is not that of the policy, by {flow:.1e}")
    if not abs(recorded - found) <= rtol * max(found, float(uniform.exploitability)):
        faults.append(f"the recorded exploitability is off by {abs(recorded - found):.1e}")
    print(f"exploitability {found:.17g} (recorded {recorded:.17g})")
    print("\n".join(faults) if faults else "the files agree with the game")
    return DIFFERENT if faults else 0
