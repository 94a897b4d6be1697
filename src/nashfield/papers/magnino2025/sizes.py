"""How much of everything a reproduction takes."""

import dataclasses
from typing import Any

from nashfield.learners import PPO
from nashfield.learners.cloning import Cloning
from nashfield.mean_fields.fitting import MaximumLikelihood


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of all experiments.

    Attributes:
        num_seeds: M, side by side in one program; four in the paper.
        num_iterations: K of fictitious play on the line.
        descent_iterations: of mirror descent.
        rooms_seeds: M of the four rooms.
        rooms_iterations: K there.
        rooms_descent_iterations: of mirror descent there.
        first_updates: of the first best response.
        later_updates: of every later one.
        clone_steps: of an average policy.
        fit_steps: of a normalizing flow.
        num_agents: of a roll-out.
        grid_iterations: of mirror descent on a grid, the yardstick.
        num_samples: N, agents that the evenness of the four rooms is judged by, and of an exact
            crowd.
        num_trajectories: how many are drawn where drawing is timed.
        repeats: of every timing, of which the median counts.
    """

    num_seeds: int = 4
    num_iterations: int = 20
    descent_iterations: int = 100
    rooms_seeds: int = 1
    rooms_iterations: int = 40
    rooms_descent_iterations: int = 200
    first_updates: int = 200
    later_updates: int = 50
    clone_steps: int = 300
    fit_steps: int = 500
    num_agents: int = 10_000
    grid_iterations: int = 300
    num_samples: int = 1_000_000
    num_trajectories: int = 5000
    repeats: int = 9

    def learner(self, **settings: Any) -> PPO:
        """Of best responses."""
        return PPO(num_updates=self.first_updates, **settings)

    def fictitious(self, solver: type, num_iterations: int, **settings: Any) -> Any:
        """One of the paper's three algorithms, with what it has of the parts."""
        known = {field.name for field in dataclasses.fields(solver) if field.init}
        parts: dict[str, Any] = {
            "learner": self.learner(),
            "average_policy": Cloning(num_steps=self.clone_steps),
            "normalizing_flow": MaximumLikelihood(num_steps=self.fit_steps),
            "later_updates": self.later_updates,
            "num_agents": self.num_agents,
            # One more than asked for: `learn` takes a last step to judge by.
            "capacity": num_iterations + 1,
        } | settings
        return solver(**{name: part for name, part in parts.items() if name in known})


# Nearly all of its time goes into compilation.
QUICK = Sizes(
    num_seeds=2,
    num_iterations=4,
    descent_iterations=30,
    rooms_iterations=4,
    rooms_descent_iterations=30,
    first_updates=100,
    later_updates=30,
    clone_steps=200,
    fit_steps=300,
    num_agents=4000,
    num_samples=200_000,
)
