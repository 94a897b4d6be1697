"""The worker that trains stable-baselines3, in vectorised NumPy or on the Gymnasium adapter."""

import time
from typing import Any

import gymnasium
import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.vec_env import VecEnv

from _link import serve

_job: dict[str, Any] = {}


class LinearQuadraticEnvs(VecEnv):
    """The linear-quadratic game against its crowd, many episodes side by side, in NumPy."""

    def __init__(self, constants: dict[str, np.ndarray], num_envs: int):
        """Episodes of all environments begin and end together."""
        most = float(np.finfo(np.float32).max)
        seen = gymnasium.spaces.Box(np.float32([0, -most]), np.float32([1, most]))
        super().__init__(num_envs, seen, gymnasium.spaces.Box(-1, 1, (1,), np.float32))
        self._constants = {k: v.item() for k, v in constants.items() if v.ndim == 0}
        self._means, self._horizon = constants["means"], int(constants["horizon"])
        self._generator = np.random.default_rng(0)

    def reset(self) -> np.ndarray:
        """Starts all episodes."""
        deviation = self._constants["initial_variance"] ** 0.5
        self._time = 0
        self._states = deviation * self._generator.standard_normal(self.num_envs)
        return self._seen()

    def step_async(self, actions: np.ndarray) -> None:
        """Keeps the actions."""
        self._actions = actions[:, 0]

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict]]:
        """Plays them."""
        noise = self._generator.standard_normal(self.num_envs)
        mean = self._means[self._time]
        moved = move(self._constants, mean, self._states, self._actions, noise)
        self._states, rewards = moved
        self._time += 1
        over = self._time == self._horizon
        seen, infos = self._seen(), [{} for _ in range(self.num_envs)]
        if over:
            infos = [{"terminal_observation": row} for row in seen]
            seen = self.reset()
        return seen, rewards.astype(np.float32), np.full(self.num_envs, over), infos

    def _seen(self) -> np.ndarray:
        times = np.full(self.num_envs, self._time / self._horizon)
        return np.stack([times, self._states], 1).astype(np.float32)

    def close(self) -> None:
        """Nothing to close."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """There is one object for all."""
        return [getattr(self, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """There is one object for all."""
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list:
        """No method of an environment is ever asked for."""
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Nothing is wrapped."""
        return [False] * self.num_envs


def move(c: dict, mean: Any, x: Any, a: Any, noise: Any) -> tuple[Any, Any]:
    """Next states and rewards."""
    rewards = -c["c_x"] * (x - c["target"]) ** 2 - c["c_a"] * a**2 - c["c_m"] * (x - mean) ** 2
    return c["A"] * x + c["B"] * a + c["A_bar"] * mean + c["sigma"] * noise, rewards


def load(file: str) -> dict[str, Any]:
    """Reads the game; versions, and the largest difference to the moves in the file."""
    with np.load(file) as arrays:
        arrays = dict(arrays)
    _job["constants"] = arrays
    numbers = {k: v.item() for k, v in arrays.items() if v.ndim == 0}
    mean = arrays["means"][:-1, None]
    moved, rewards = move(numbers, mean, *(arrays[k][..., 0] for k in ("x", "a", "noise")))
    differences = (moved - arrays["moved"][..., 0], rewards - arrays["rewards"])
    return {
        "stable_baselines3": stable_baselines3.__version__,
        "torch": torch.__version__,
        "difference": float(max(np.abs(d / (1 + np.abs(rewards))).max() for d in differences)),
    }


def prepare(
    algorithm: str,
    num_envs: int | None,
    hidden: list[int],
    options: dict,
    amount: int,
    num_threads: int,
) -> None:
    """Builds a model, and trains a little.

    Args:
        algorithm: "PPO" or "SAC".
        num_envs: how many environments side by side in NumPy; None for one, the Gymnasium adapter.
        hidden: widths of the layers of each network.
        options: of the algorithm; what is not named is as shipped.
        amount: decisions that one measurement trains for.
        num_threads: of torch.
    """
    torch.set_num_threads(num_threads)
    if num_envs is None:
        import nashfield as nf

        game = nf.games.LinearQuadratic()
        env = nf.adapters.gymnasium_env(game, game.equilibrium().flow)
    else:
        env = LinearQuadraticEnvs(_job["constants"], num_envs)
    shape = {"pi": hidden, "vf" if algorithm == "PPO" else "qf": hidden}
    kind = getattr(stable_baselines3, algorithm)
    model = kind("MlpPolicy", env, policy_kwargs={"net_arch": shape}, device="cpu", **options)
    model.learn(max(amount // 10, 1))
    _job.update(model=model, amount=amount)


def measure() -> float:
    """Decisions a wall second; for SAC updates as well, one for each decision."""
    model = _job["model"]
    before, begin = model.num_timesteps, time.perf_counter()
    model.learn(_job["amount"], reset_num_timesteps=False)
    return (model.num_timesteps - before) / (time.perf_counter() - begin)


if __name__ == "__main__":
    serve({"load": load, "prepare": prepare, "measure": measure})
