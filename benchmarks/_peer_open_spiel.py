"""The worker that runs open_spiel; started by finite_games.py with the peers' interpreter."""

import re
import time
from collections.abc import Iterator
from importlib.metadata import version

import numpy as np
import pyspiel
from open_spiel.python.mfg.algorithms import fictitious_play, mirror_descent, nash_conv
from open_spiel.python.mfg.algorithms.distribution import DistributionPolicy
from open_spiel.python.mfg.algorithms.policy_value import PolicyValue
from open_spiel.python.mfg.games import crowd_modelling_2d
from open_spiel.python.policy import UniformRandomPolicy

from _link import serve

_game: pyspiel.Game
_places: list


def hello() -> dict:
    """Versions."""
    return {"open_spiel": version("open_spiel")}


def _place(state: pyspiel.State) -> tuple[int, ...]:
    """Where the agent is, from "(x, ..., t)"; the time, which comes last, is dropped."""
    return tuple(int(n) for n in re.findall(r"-?\d+", str(state).split(")")[0])[:-1])


def load(name: str, options: dict, file: str) -> dict:
    """Builds a game and writes its transition table, read off its own states, to `file`.

    Places are the agent's possible positions in sorted order; `table` is (S, A, S) with rows of
    zeros at illegal actions.
    """
    global _game, _places
    if name == "four_rooms":
        name = "mfg_crowd_modelling_2d"
        options = {**crowd_modelling_2d.FOUR_ROOMS, "only_distribution_reward": True, **options}
    _game = pyspiel.load_game(name, options)
    anywhere = {k: v for k, v in options.items() if not k.startswith("initial_distribution")}
    root = pyspiel.load_game(name, anywhere).new_initial_state()
    states = {_place(s): s for s in (root.child(a) for a, _ in root.chance_outcomes())}
    states.pop((-1, -1), None)  # where the package puts whoever starts inside a wall
    _places = sorted(states)
    index = {place: k for k, place in enumerate(_places)}
    num_states, num_actions = len(_places), _game.num_distinct_actions()
    table = np.zeros((num_states, num_actions, num_states))
    for place, state in states.items():
        for action in state.legal_actions():
            chance = state.child(action)
            for outcome, probability in chance.chance_outcomes():
                arrival = index[_place(chance.child(outcome))]
                table[index[place], action, arrival] += probability
    initial = np.zeros(num_states)
    root = _game.new_initial_state()
    for outcome, probability in root.chance_outcomes():
        initial[index[_place(root.child(outcome))]] += probability
    np.savez(file, table=table, initial=initial, places=np.array(_places))
    parameters = _game.get_parameters()
    return {"times": parameters["horizon"], "states": num_states, "actions": num_actions}


def uniform_value() -> dict:
    """Value and exploitability of the policy that plays every legal action alike."""
    policy = UniformRandomPolicy(_game)
    root = _game.new_initial_state()
    value = PolicyValue(_game, DistributionPolicy(_game, policy), policy).eval_state(root)
    return {"value": value, "exploitability": nash_conv.NashConv(_game, policy).nash_conv()}


def _solve(algorithm: str, options: dict) -> Iterator[float]:
    """Exploitability after each iteration, as in the package's own examples."""
    classes = {
        "MirrorDescent": mirror_descent.MirrorDescent,
        "FictitiousPlay": fictitious_play.FictitiousPlay,
    }
    solver = classes[algorithm](_game, **options)
    while True:
        solver.iteration()
        yield nash_conv.NashConv(_game, solver.get_policy()).nash_conv()


def scores(algorithm: str, options: dict, length: int) -> list[float]:
    """Exploitabilities of the first `length` iterates."""
    run = _solve(algorithm, options)
    return [next(run) for _ in range(length)]


def cost(algorithm: str, options: dict, length: int) -> dict:
    """CPU and wall seconds of `length` iterations, exploitability of each included."""
    run = _solve(algorithm, options)
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(length):
        next(run)
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def race(algorithm: str, options: dict, targets: list, cap: float) -> list:
    """Wall seconds until the exploitability is below each target times the uniform policy's."""
    scale = uniform_value()["exploitability"]
    reached: list = [None] * len(targets)
    start = time.perf_counter()
    for score in _solve(algorithm, options):
        seconds = time.perf_counter() - start
        for k, target in enumerate(targets):
            if reached[k] is None and seconds <= cap and score <= target * scale:
                reached[k] = seconds
        if seconds > cap or all(r is not None for r in reached):
            break
    return reached


if __name__ == "__main__":
    serve(
        {
            "hello": hello,
            "load": load,
            "uniform_value": uniform_value,
            "scores": scores,
            "cost": cost,
            "race": race,
        }
    )
