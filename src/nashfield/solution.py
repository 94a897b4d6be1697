"""What a solve returns."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.core
import numpy as np
from jaxtyping import Float, Int

from nashfield import record, storage
from nashfield.answers import answer_arrays, check_shape, read_solution, rebuild_answer
from nashfield.results import Result
from nashfield.solvers.base import AbstractSolver
from nashfield.typing import Array


class Solution(eqx.Module):
    """A policy, the crowd that it makes, and how it was found.

    Attributes:
        policy: (T, S, A); for a stationary game (S, A), or the policy with parameters that the
            solver was given, trained; of a game on points a policy such as `policies.Pool`.
        flow: population flow of the policy, (T + 1, S); for a stationary game its stationary mean
            field; of a game on points an `AbstractFlow`.
        history: per name an array (num_iterations + 1,): "exploitability" and "social_welfare" of
            every iterate, the start included, and "gradient_norm" where the solver follows one.
            Once a tolerance is reached the last value repeats.
        num_steps: iterations done.
        result_code: see `result`.
        state: the solver's state, to go on from.
        game: the game that was solved; None if it is not known (see `load`).
        solver: what solved it, or None.
        stats: seconds and the like, from `run`.
        trouble: what went wrong, and in which iteration and phase, where `run` knows.
    """

    policy: Any
    flow: Any
    history: dict[str, Float[Array, "*batch K1"]]
    num_steps: Int[Array, "*batch"]
    result_code: Int[Array, "*batch"]
    state: Any
    game: Any
    solver: AbstractSolver | None
    stats: dict[str, float] = eqx.field(default_factory=dict)
    trouble: str = eqx.field(static=True, default="")

    @property
    def exploitability(self) -> float | Float[Array, "*batch"]:
        """Exploitability of `policy`: a float, or an array under a batch or inside jit."""
        return _plain(self.history["exploitability"][..., -1])

    @property
    def social_welfare(self) -> float | Float[Array, "*batch"]:
        """J(pi; mu^pi) of `policy`."""
        return _plain(self.history["social_welfare"][..., -1])

    @property
    def gradient_norm(self) -> float | Float[Array, "*batch"]:
        """Length of the gradient that the solver follows, at `policy`.

        Raises:
            AttributeError: the solver follows none.
        """
        if "gradient_norm" not in self.history:
            raise AttributeError("this solver follows no gradient: there is no gradient_norm")
        return _plain(self.history["gradient_norm"][..., -1])

    @property
    def result(self) -> Result:
        """How the solve ended; under a batch, the worst of them."""
        codes = set(np.ravel(np.asarray(self.result_code)).tolist())
        # A tolerance that some did not reach was not reached.
        worst_first = (
            Result.NONFINITE,
            Result.LOST_MASS,
            Result.UNSETTLED,
            Result.MAX_ITERATIONS,
            Result.CONVERGED,
        )
        return next(result for result in worst_first if int(result) in codes)

    def save(self, folder: str | Path) -> None:
        """Writes config.json, history.csv and solution.npz into a new or empty folder.

        The solver's state is not kept: `run` with a folder of its own keeps it in checkpoints.

        Args:
            folder: where to; made if need be.

        Raises:
            RunFolderError: the folder is not empty or cannot be written.
            ValueError: this is a batch of solutions, or its game is not known.
        """
        if np.ndim(self.result_code):
            raise ValueError(
                "this is a batch of solutions: save them one by one, the first one being "
                "jax.tree.map(lambda x: x[0] if equinox.is_array(x) else x, solution)"
            )
        if self.game is None or self.solver is None:
            raise ValueError("the game or the solver of this solution is not known")
        folder = Path(folder)
        storage.new_folder(folder)
        settings = {"num_iterations": int(self.num_steps)}
        storage.write_config(folder, record.make_config(self.game, self.solver, **settings))
        table = np.stack(list(self.history.values()), axis=1)
        storage.write_history(folder / storage.HISTORY, table, list(self.history))
        storage.write_arrays(folder / storage.SOLUTION, self.arrays())

    def arrays(self) -> dict[str, Array]:
        """What solution.npz holds."""
        return {
            **answer_arrays(self.game, self.policy, self.flow),
            "num_steps": self.num_steps,
            "result_code": self.result_code,
            **{f"history_{name}": column for name, column in self.history.items()},
            **{f"stats_{name}": np.asarray(number) for name, number in self.stats.items()},
        }

    @classmethod
    def load(cls, folder: str | Path, *, game: Any = None) -> "Solution":
        """Reads what `save` or `run` wrote. Nothing in the folder is executed.

        Games of the zoo and solvers are built again by name. A game from a user's own file is not
        imported: `game` is None then, and of a policy with parameters only its table is known. The
        solver's state is None.

        Args:
            folder: the run folder.
            game: the game that was solved, where it comes from a user's own file.

        Raises:
            RunFolderError: a file is missing, broken, or not of this format, or `game` is not the
                game that was solved.
        """
        folder = Path(folder)
        config = storage.read_config(folder)
        storage.check_is_run(folder, config)
        arrays = read_solution(folder)
        game = record.rebuild_game(folder, config) if game is None else game
        if game is not None:
            check_shape(game, arrays, folder)
        solver = record.rebuild_solver(folder, config)
        policy, flow = rebuild_answer(folder, game, solver, arrays)
        history, stats = (
            {k.removeprefix(head): v for k, v in arrays.items() if k.startswith(head)}
            for head in ("history_", "stats_")
        )
        return cls(
            policy=policy,
            flow=flow,
            history=dict(history),
            num_steps=arrays["num_steps"],
            result_code=arrays["result_code"],
            state=None,
            game=game,
            solver=solver,
            stats={name: float(number) for name, number in stats.items()},
        )


def _plain(value: Array) -> Any:
    if isinstance(value, jax.core.Tracer) or value.ndim:
        return value
    return float(value)
