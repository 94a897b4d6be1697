"""`nashfield check`: is a saved answer as good as it says?"""

import argparse

from nashfield.cli.saved import load_run

DIFFERENT = 1


def main(args: argparse.Namespace) -> int:
    """Recomputes flow and exploitability of the saved policy, and compares."""
    solution = load_run(args)
    import numpy as np

    from nashfield.dynamics import population_flow
    from nashfield.metrics import exploitability

    policy = solution.policy
    # What was found in single precision is known to single precision.
    rtol = 1e-9 if policy.dtype == np.float64 else 1e-4
    rows = np.abs(policy.sum(-1) - 1).max()
    flow = np.abs(np.asarray(population_flow(solution.game, policy).states) - solution.flow.states)
    recorded, found = solution.exploitability, float(exploitability(solution.game, policy))
    scale = max(abs(found), solution.stats.get("initial_exploitability", 0.0), 1e-300)
    faults = []
    if policy.min() < 0 or not rows <= 100 * rtol:
        faults.append(f"the policy is none: its rows sum to 1 only within {rows:.1e}")
    if not flow.max() <= 100 * rtol:
        faults.append(f"the flow is not that of the policy, by {flow.max():.1e}")
    if not abs(recorded - found) <= rtol * scale:
        faults.append(f"the recorded exploitability is off by {abs(recorded - found):.1e}")
    print(f"exploitability {found:.17g} (recorded {recorded:.17g})")
    print("\n".join(faults) if faults else "the files agree with the game")
    return DIFFERENT if faults else 0
