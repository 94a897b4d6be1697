"""The worker that plays deep fictitious play on stable-baselines3: a crowd of past policies."""

import copy
import time
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from torch import nn

from _link import serve
from _peer_sb3 import LinearQuadraticEnvs, move

# Rewards as its critic can learn them, which does not standardise what it is told.
REWARD_SCALE = 0.2
LEAST_LOG_SD = -3.0
NUM_TRIED = 5

_job: dict[str, Any] = {}


class ScaledEnvs(LinearQuadraticEnvs):
    """The game as agents see it: standardised states, times in [-1, 1], and small rewards."""

    def set_means(self, means: np.ndarray) -> None:
        """Other means (T + 1,) of the crowd."""
        self._means = means

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict]]:
        """Plays a decision."""
        seen, rewards, over, infos = super().step_wait()
        return seen, REWARD_SCALE * rewards, over, infos

    def _seen(self) -> np.ndarray:
        return seen(self._constants, self._time, self._states)


def seen(c: dict, t: int, x: np.ndarray) -> np.ndarray:
    """What a network sees of states x (N,) at time t."""
    times = np.full(x.shape, 2 * t / c["horizon"] - 1)
    return np.stack([times, x / c["initial_variance"] ** 0.5], 1).astype(np.float32)


class Play:
    """One seed: a model that is trained on, the past policies, and the means of their crowd."""

    def __init__(self, constants: dict, settings: dict, seed: int):
        """A model that has learnt nothing, and a crowd that stays where it starts."""
        self.numbers = {k: v.item() for k, v in constants.items() if v.ndim == 0}
        self.rng = np.random.default_rng(seed)
        self.means = np.zeros(int(self.numbers["horizon"]) + 1)
        self.env = ScaledEnvs({**constants, "means": self.means}, settings["num_envs"])
        rate = settings["learning_rate"]
        self.model = PPO(
            "MlpPolicy",
            self.env,
            n_steps=int(self.numbers["horizon"]),
            n_epochs=settings["num_epochs"],
            batch_size=settings["batch_size"],
            gamma=1.0,
            gae_lambda=settings["trace"],
            learning_rate=lambda left: rate * (0.02 + 0.98 * left),
            policy_kwargs={
                "net_arch": {"pi": settings["hidden"], "vf": settings["hidden"]},
                "log_std_init": settings["log_sd"],
            },
            seed=seed,
            device="cpu",
        )
        self.members: list[nn.Module] = []
        self.num_agents = settings["num_agents"]
        self.amount = settings["num_envs"] * int(self.numbers["horizon"])

    def iterate(self, num_updates: int) -> None:
        """A best response that goes on from the last one, then the crowd of all of them."""
        self.env.set_means(self.means)
        policy = self.model.policy
        policy.optimizer = torch.optim.Adam(policy.parameters(), eps=1e-5)
        with torch.no_grad():
            policy.log_std.clamp_(min=LEAST_LOG_SD)
        self.model.learn(num_updates * self.amount)
        last = nn.Sequential(policy.mlp_extractor.policy_net, policy.action_net)
        self.members.append(copy.deepcopy(last))
        self.means = self.roll_out()

    def roll_out(self) -> np.ndarray:
        """Means (T + 1,) of a crowd in which every agent keeps one member, grouped by members."""
        c = self.numbers
        groups = np.array_split(np.arange(self.num_agents), len(self.members))
        x = c["initial_variance"] ** 0.5 * self.rng.standard_normal(self.num_agents)
        means = [x.mean()]
        for t in range(int(c["horizon"])):
            rows = seen(c, t, x)
            parts = zip(self.members, groups, strict=True)
            actions = np.concatenate([mean_action(member, rows[group]) for member, group in parts])
            x, _ = move(c, means[-1], x, actions, self.rng.standard_normal(x.size))
            means.append(x.mean())
        return np.array(means)


def mean_action(member: nn.Module, rows: np.ndarray) -> np.ndarray:
    """What a policy does, (N,)."""
    with torch.no_grad():
        return member(torch.from_numpy(rows)).numpy()[:, 0].astype(float)


def trial(file: str, settings: dict, num_threads: int) -> float:
    """Wall seconds of a few updates of one seed, after as many that nobody times."""
    begin(file, settings, [0], num_threads)
    iterate(NUM_TRIED)
    start = time.perf_counter()
    iterate(NUM_TRIED)
    return time.perf_counter() - start


def begin(file: str, settings: dict, seeds: list[int], num_threads: int) -> str:
    """Builds all seeds; the version of torch."""
    torch.set_num_threads(num_threads)
    with np.load(file) as arrays:
        constants = dict(arrays)
    _job["plays"] = [Play(constants, settings, seed) for seed in seeds]
    return torch.__version__


def iterate(num_updates: int) -> float:
    """One iteration of all seeds, one after the other; CPU seconds of all threads."""
    start = time.process_time()
    for play in _job["plays"]:
        play.iterate(num_updates)
    return time.process_time() - start


def tables(file: str, points: list[float]) -> None:
    """Writes what all members do at these states, (seeds, K, T, points)."""
    x = np.array(points)
    found = [
        [
            [mean_action(member, seen(play.numbers, t, x)) for t in range(play.means.size - 1)]
            for member in play.members
        ]
        for play in _job["plays"]
    ]
    np.savez(file, actions=np.array(found))


if __name__ == "__main__":
    serve({"trial": trial, "begin": begin, "iterate": iterate, "tables": tables})
