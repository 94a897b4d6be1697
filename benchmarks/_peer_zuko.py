"""The worker that fits zuko's spline flows."""

import time
from typing import Any

import numpy as np
import torch
import zuko

from _link import serve

_job: dict[str, Any] = {}


def hello() -> dict[str, str]:
    """Versions."""
    return {"zuko": zuko.__version__, "torch": torch.__version__}


def prepare(file: str, case: dict) -> None:
    """Loads the states (T + 1, N, D), the held-out ones, and remembers the architecture."""
    with np.load(file) as arrays:
        _job.update({name: torch.from_numpy(arrays[name]) for name in ("train", "held", "times")})
    _job["case"] = case


def measure(seed: int, num_threads: int) -> dict[str, float]:
    """Wall and CPU seconds of a fit from a fresh start, and the held-out loss after it."""
    torch.set_num_threads(num_threads)
    torch.manual_seed(seed)
    case, train, times = _job["case"], _job["train"], _job["times"]
    size, num_agents, dim = train.shape
    flow = zuko.flows.NSF(
        features=dim,
        context=1,
        bins=case["num_bins"],
        transforms=case["num_layers"],
        hidden_features=[case["width"]] * case["depth"],
    )
    optimiser = torch.optim.Adam(flow.parameters(), lr=case["learning_rate"])
    per_time = case["batch_size"] // size
    rows = torch.arange(size)[:, None]
    condition = times[:, None].expand(size, per_time).reshape(-1, 1)
    begin, cpu = time.perf_counter(), time.process_time()
    for _ in range(case["num_steps"]):
        index = torch.randint(num_agents, (size, per_time))
        batch = train[rows, index].reshape(-1, dim)
        loss = -flow(condition).log_prob(batch).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    held = _job["held"]
    every = times[:, None].expand(*held.shape[:2]).reshape(-1, 1)
    with torch.no_grad():
        final = -flow(every).log_prob(held.reshape(-1, dim)).mean()
    return {"seconds": seconds, "cpu": cpu, "loss": float(final)}


if __name__ == "__main__":
    serve({"hello": hello, "prepare": prepare, "measure": measure})
