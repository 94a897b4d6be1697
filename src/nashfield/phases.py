"""The host's side of a run whose iterations are long: phase by phase."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from nashfield.chunks import Loop, table_of
from nashfield.progress import ProgressReport
from nashfield.results import Result
from nashfield.solution import Solution
from nashfield.solve import Progress
from nashfield.solvers.deep_play import AbstractDeepPlay, PlayInfo


class PhasedLoop(Loop):
    """A run of an `AbstractDeepPlay`; every iteration is saved.

    A phase that goes wrong ends the run at the iterate that entered the iteration.
    """

    solver: AbstractDeepPlay

    def begin(self, policy: Any, atol: Any, rtol: Any) -> None:
        """Goes to the start, whose exploitability the first iteration finds."""
        self.tolerances = float(atol), float(rtol)
        state = self.call(_begin, self.game, self.solver, self.key)
        shape = (self.game, self.solver, state, state.response, self.key)
        self.columns = eqx.filter_eval_shape(_judge, *shape).names
        code = jnp.asarray(int(Result.MAX_ITERATIONS))
        self.progress = Progress(state, jnp.asarray(0), code)

    def go(self, num_iterations: int, report: ProgressReport) -> None:
        """See `Loop.go`."""
        first, begin = self.num_steps, self.seconds
        while self.num_steps < num_iterations:
            self.good = self.progress
            code = self._iterate(report)
            if code != Result.MAX_ITERATIONS:
                kept = self.progress
                self.progress = Progress(kept.state, kept.num_steps, jnp.asarray(int(code)))
                return
            rate = (self.num_steps - first) / max(self.seconds - begin, 1e-9)
            report.update(self.num_steps, float(self.rows[-1][-1, 0]), rate)
            self.save()

    def _iterate(self, report: ProgressReport) -> Result:
        """One iteration, unless a phase goes wrong or the policy that enters is good enough."""
        solver, state = self.solver, self.progress.state
        key = jax.random.fold_in(self.key, self.num_steps)
        infos: Any = None
        for index, name in enumerate(solver.phases):
            report.phase(self.num_steps, name)
            moved = self.call(_phase, self.game, solver, name, state, solver.phase_key(key, index))
            trouble = solver.trouble(self.game, name, moved)
            if trouble:
                self.trouble = f"iteration {self.num_steps + 1}, {name}: {trouble}"
                return Result.NONFINITE
            if index == 0:
                infos = self._judge(self.progress.state, moved.response, key)
                if float(infos.exploitability) <= self._target(float(infos.exploitability)):
                    return Result.CONVERGED
                if not np.isfinite(float(infos.exploitability)):
                    self.trouble = f"iteration {self.num_steps + 1}: values are not finite"
                    return Result.NONFINITE
            state = moved
        self.rows.append(table_of(jax.tree.map(lambda x: x[None], infos)))
        count = jnp.asarray(self.num_steps + 1)
        self.progress = Progress(state, count, self.progress.result_code)
        return Result.MAX_ITERATIONS

    def _judge(self, state: Any, response: Any, key: PRNGKeyArray) -> PlayInfo:
        key = self.solver.phase_key(key, len(self.solver.phases))
        return self.call(_judge, self.game, self.solver, state, response, key)

    def _target(self, first: float) -> float:
        atol, rtol = self.tolerances
        if self.rows and len(self.rows[0]):
            first = float(self.rows[0][0, 0])
        return atol + rtol * first if atol or rtol else -np.inf

    def evaluate(self) -> Solution:
        """The last good iterate."""
        solver, state = self.solver, self.progress.state
        key, response_key = jax.random.split(self.key)
        response = state.response
        if solver.learns_reference(self.game):
            response = self.call(_best_response, self.game, solver, state, response_key)
        info = self._judge(state, response, key)
        if self.num_steps == 0:
            self.initial = float(info.exploitability)
        else:
            self.initial = float(self.rows[0][0, 0])
        return Solution(
            policy=solver.policy(self.game, state),
            flow=solver.flow(self.game, state),
            history={name: jnp.asarray(value)[None] for name, value in info.columns().items()},
            num_steps=self.progress.num_steps,
            result_code=self.progress.result_code,
            state=state,
            game=None,
            solver=None,
        )


@eqx.filter_jit
def _begin(game: Any, solver: AbstractDeepPlay, key: PRNGKeyArray) -> Any:
    return solver.init_uniform(game, key=key)


@eqx.filter_jit
def _phase(game: Any, solver: AbstractDeepPlay, name: str, state: Any, key: PRNGKeyArray) -> Any:
    return solver.phase(name, game, state, key=key)


@eqx.filter_jit
def _best_response(game: Any, solver: AbstractDeepPlay, state: Any, key: PRNGKeyArray) -> Any:
    return solver.best_response(game, state, key=key)


@eqx.filter_jit
def _judge(
    game: Any, solver: AbstractDeepPlay, state: Any, response: Any, key: PRNGKeyArray
) -> PlayInfo:
    return solver.judge(game, state, response, key=key)
