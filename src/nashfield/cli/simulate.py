"""`nashfield simulate`: a saved solution among N agents."""

import argparse

from nashfield.cli.saved import load_run


def main(args: argparse.Namespace) -> int:
    """Prints what an agent gets, and what one deviator gains, with intervals over seeds."""
    solution = load_run(args)
    import jax

    from nashfield.metrics import simulate

    found = simulate(
        solution.game,
        solution.policy,
        num_agents=args.agents,
        num_seeds=args.seeds,
        key=jax.random.key(args.seed),
    )
    print(
        f"{args.agents} agents, {args.seeds} seeds; mean [95% interval], and the mean-field value"
    )
    print(f"return of an agent         {found.mean_return}; {float(found.social_welfare):.6g}")
    print(f"gain of one deviator       {found.gain}; {float(found.exploitability):.6g}")
    print(f"distance between the flows {found.distance}; 0")
    return 0
