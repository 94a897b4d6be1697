"""`nashfield simulate`: a saved solution among N agents."""

import argparse
from typing import Any

from nashfield.cli.saved import load_run
from nashfield.results import NashfieldError


def main(args: argparse.Namespace) -> int:
    """Prints what an agent gets, and what one deviator gains; draws agents on points."""
    solution = load_run(args)
    import jax

    from nashfield.games.continuous_stationary import ContinuousStationaryGame
    from nashfield.games.rates import RateGame
    from nashfield.metrics import PointSimulation, simulate
    from nashfield.plotting.agents import can_draw

    if isinstance(solution.game, ContinuousStationaryGame):
        raise NashfieldError(
            f"simulate plays games with a horizon and games on finitely many states, which "
            f"{type(solution.game).__name__} is not: what is found of it is found by agents already"
        )
    if isinstance(solution.game, RateGame):
        raise NashfieldError(
            f"simulate plays games in discrete time, but {type(solution.game).__name__} is one in "
            "continuous time: its flow is exact for infinitely many agents"
        )

    drawn = not args.no_plots and can_draw(solution.game)
    if args.out and not drawn:
        reason = (
            "draws nothing with --no-plots"
            if args.no_plots
            else "draws agents of games on points with one or two coordinates, which "
            f"{type(solution.game).__name__} is not"
        )
        raise NashfieldError(f"simulate {reason}: leave --out out")
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
    if isinstance(found, PointSimulation):
        print(f"return of an agent         {found.mean_return}; {solution.social_welfare:.6g}")
        if found.gain is not None:
            print(f"gain of one deviator       {found.gain}; {solution.exploitability:.6g}")
        print(f"distance between the flows {found.distance}; 0", flush=True)
        if drawn:
            _animate(args, solution)
        return 0
    print(f"return of an agent         {found.mean_return}; {float(found.social_welfare):.6g}")
    print(f"gain of one deviator       {found.gain}; {float(found.exploitability):.6g}")
    print(f"distance between the flows {found.distance}; 0")
    return 0


def _animate(args: argparse.Namespace, solution: Any) -> None:
    """Plays one episode more, and draws its agents."""
    import jax

    from nashfield.dynamics.episodes import play_among
    from nashfield.plotting import save_animation

    key = jax.random.fold_in(jax.random.key(args.seed), args.seeds)
    episodes = play_among(solution.game, solution.policy, num_agents=args.agents, key=key)
    paths = save_animation(solution.game, episodes, args.out or args.folder)
    print("animation  " + " ".join(map(str, paths)))
