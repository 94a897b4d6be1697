"""The worker that trains the same neural stochastic differential equation with torchsde."""

import math
import time
from typing import Any

import numpy as np
import torch
import torchsde

from _link import serve

# Steps of training are shortened to this length of the gradient.
LONGEST = 1.0
_job: dict[str, Any] = {}


class Crowds(torch.nn.Module):
    """Crowds (C) of agents (N) as an equation with a diagonal diffusion, C a batch of N states.

    Drift and diffusion have networks of their own, of one shape, so that they are multiplied
    together: half as many operations as with two `torch.nn.Sequential`.
    """

    noise_type, sde_type = "diagonal", "ito"

    def __init__(self, settings: dict, game: dict, arrays: dict[str, np.ndarray]):
        super().__init__()
        self.game, self.dt = game, game["duration"] / settings["num_steps"]
        self.location, self.scale, self.unit = (
            torch.from_numpy(arrays[name]) for name in ("location", "scale", "unit")
        )
        place = game["quantile"] * (settings["num_agents"] - 1)
        self.below, self.share = int(place), place - int(place)
        both = [self.paired(arrays, "before", i) for i in range(len(settings["hidden"]) + 1)]
        self.weights, self.biases = (
            torch.nn.ParameterList(torch.nn.Parameter(x) for x in found)
            for found in zip(*both, strict=True)
        )

    @staticmethod
    def paired(arrays: dict, prefix: str, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights and biases of layer i: the first one is wide, others have a leading axis of 2."""
        weights, biases = (
            [
                torch.from_numpy(arrays[f"{prefix}_{net}_{what}_{i}"])
                for net in ("drift", "diffusion")
            ]
            for what in ("weight", "bias")
        )
        if i == 0:
            return torch.cat(weights, -1), torch.cat(biases)
        return torch.stack(weights), torch.stack(biases)[:, None]

    def f_and_g(self, t: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Drift and diffusion, (C, N) each."""
        ordered = torch.sort(x, -1).values
        low, high = ordered[:, self.below, None], ordered[:, self.below + 1, None]
        begins = torch.lerp(low, high, self.share)
        variance, mean = torch.var_mean(x, -1, correction=0, keepdim=True)
        deviation = torch.sqrt(variance + torch.finfo(x.dtype).eps)
        seen = (x, 2 * t / self.game["duration"] - 1, begins, mean, deviation)
        seen = torch.stack([part.expand_as(x) for part in seen], -1)
        drift, diffusion = self.networks(
            2 * torch.tanh((seen - self.location) / (2 * self.scale))
        ).view(2, *x.shape)
        diffusion = self.unit * torch.nn.functional.softplus(diffusion)
        return self.known(x, begins, diffusion.detach()) + drift, diffusion

    def networks(self, seen: torch.Tensor) -> torch.Tensor:
        """Of features (C, N, F); (2, C N, 1)."""
        first = torch.addmm(self.biases[0], seen.flatten(0, 1), self.weights[0])
        z = first.view(len(first), 2, -1).transpose(0, 1)
        for weight, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            z = torch.baddbmm(bias, torch.tanh(z), weight)
        return z

    def known(self, x: torch.Tensor, begins: torch.Tensor, diffusion: torch.Tensor) -> torch.Tensor:
        """The game's drift; derivatives are differences as wide as the noise of a step."""
        with torch.no_grad():
            y, seen = x.detach(), begins.detach()
            width = self.dt**0.5 * diffusion.mean(-1, keepdim=True)
            by_state = self.pull(y + width, seen) - self.pull(y - width, seen)
            by_begins = self.pull(y, seen + width) - self.pull(y, seen - width)
            value = self.pull(y, seen)
            by_state, by_begins = by_state / (2 * width), by_begins / (2 * width)
            steepest = torch.clamp(self.dt * by_state.abs(), min=1)
        return value + ((x - y) * by_state + (begins - seen) * by_begins) / steepest

    def pull(self, x: torch.Tensor, begins: torch.Tensor) -> torch.Tensor:
        """Minus the derivative of what an agent pays."""
        game = self.game
        late = game["lateness"] * (x > game["scheduled"])
        return game["waiting"] * (x < begins) - game["inconvenience"] * (x > begins) - late


class Rows(torchsde.BaseBrownian):
    """Increments that were drawn all at once, one row a step."""

    dtype, device = torch.float32, torch.device("cpu")
    levy_area_approximation, shape = "none", torch.Size()

    def __init__(self, increments: torch.Tensor):
        self.rows, self.shape = iter(increments), increments.shape[1:]

    def __call__(self, *interval: Any, **options: Any) -> torch.Tensor:
        return next(self.rows)

    def __repr__(self) -> str:
        return "Rows()"


def hello() -> dict[str, str]:
    """Versions."""
    return {"torchsde": torchsde.__version__, "torch": torch.__version__}


def prepare(file: str, settings: dict, game: dict) -> None:
    """Remembers what is to be trained."""
    with np.load(file) as arrays:
        _job.update(arrays=dict(arrays), settings=settings, game=game, trained={})


class Trained:
    """A model, its optimiser, and how it is solved.

    Args:
        noise: "interval", "hinted" (torchsde's BrownianInterval, without and with the length of a
            step) or "rows".
        adjoint: whether gradients are those of an adjoint equation.
        compiled: whether drift and diffusion are compiled by torch.
    """

    def __init__(self, noise: str, adjoint: bool = False, compiled: bool = False):
        settings, arrays = _job["settings"], _job["arrays"]
        self.noise, self.adjoint, self.count = noise, adjoint, 0
        self.model = Crowds(settings, _job["game"], arrays)
        if compiled:
            self.model.f_and_g = torch.compile(self.model.f_and_g, dynamic=False)
        self.optimiser = torch.optim.Adam(
            self.model.parameters(), lr=settings["learning_rate"], fused=True
        )
        self.observed = torch.sort(torch.from_numpy(arrays["observed"]).flatten()).values
        self.times = torch.tensor([0.0, _job["game"]["duration"]])

    def states(self, start: torch.Tensor, noise: Any) -> torch.Tensor:
        """Of the last turn, (C, N)."""
        options = {"bm": noise, "method": "euler", "dt": self.model.dt}
        if self.adjoint:
            options["adjoint_method"] = "euler"
            return torchsde.sdeint_adjoint(self.model, start, self.times, **options)[-1]
        return torchsde.sdeint(self.model, start, self.times, **options)[-1]

    def step(self, start: torch.Tensor, noise: Any) -> torch.Tensor:
        """One step of training; the loss before it."""
        settings = _job["settings"]
        # Crowds have as many agents as were observed: both quantile functions step together.
        pooled = torch.sort(self.states(start, noise).flatten()).values
        loss = torch.mean((pooled - self.observed) ** 2)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), LONGEST)
        cosine = (1 + math.cos(math.pi * min(self.count / settings["total"], 1))) / 2
        self.optimiser.param_groups[0]["lr"] = settings["learning_rate"] * (0.02 + 0.98 * cosine)
        self.optimiser.step()
        self.count += 1
        return loss.detach()

    def drawn(self) -> tuple[torch.Tensor, Any]:
        """Starts and noise of a step."""
        settings, game = _job["settings"], _job["game"]
        shape = settings["num_crowds"], settings["num_agents"]
        start = game["initial_mean"] + game["initial_deviation"] * torch.randn(shape)
        if self.noise == "rows":
            dt = self.model.dt
            return start, Rows(dt**0.5 * torch.randn(settings["num_steps"], *shape))
        if self.noise == "hinted":
            dt, end = self.model.dt, game["duration"]
            return start, torchsde.BrownianInterval(0.0, end, size=shape, dt=dt)
        return start, None


def agreement() -> dict[str, float]:
    """How far the first step of training is from ours, of the same weights, starts and noise.

    Largest difference of last states, that of the losses, and the root mean square of that of the
    weights after the step, in units of the learning rate: Adam's first step divides every slope by
    its size, which makes much of rounding in the few that are nearly 0.
    """
    arrays = _job["arrays"]
    trained = Trained("rows")
    start, increments = (torch.from_numpy(arrays[name]) for name in ("start", "increments"))
    with torch.no_grad():
        states = trained.states(start, Rows(increments)).numpy()
    loss = float(trained.step(start, Rows(increments)))
    model, squares = trained.model, []
    for i, (weight, bias) in enumerate(zip(model.weights, model.biases, strict=True)):
        for mine, theirs in zip(Crowds.paired(arrays, "after", i), (weight, bias), strict=True):
            squares.append(((mine - theirs).detach() ** 2).ravel())
    return {
        "states": float(np.abs(states - arrays["states"]).max()),
        "loss": abs(loss / float(arrays["loss"]) - 1),
        "weights": float(torch.cat(squares).mean().sqrt()) / _job["settings"]["learning_rate"],
    }


def measure(form: dict, num_threads: int, length: int) -> dict[str, float]:
    """Wall and CPU seconds of a step of training, the last loss, and seconds of a first step."""
    torch.set_num_threads(num_threads)
    name, first = repr((form, num_threads)), 0.0
    if name not in _job["trained"]:
        begin = time.perf_counter()
        _job["trained"][name] = Trained(**form)
        _job["trained"][name].step(*_job["trained"][name].drawn())
        first = time.perf_counter() - begin
    trained, loss = _job["trained"][name], torch.zeros(())
    begin, cpu = time.perf_counter(), time.process_time()
    for _ in range(length):
        loss = trained.step(*trained.drawn())
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    return {"wall": seconds / length, "cpu": cpu / length, "loss": float(loss), "first": first}


if __name__ == "__main__":
    serve({"hello": hello, "prepare": prepare, "agreement": agreement, "measure": measure})
