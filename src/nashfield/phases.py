"""The host's side of a run whose iterations are long: phase by phase."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from nashfield.chunks import Loop, strong, table_of
from nashfield.progress import ProgressReport
from nashfield.results import Result
from nashfield.solution import Solution
from nashfield.solve import Progress
from nashfield.solvers.deep_play import AbstractDeepPlay, PlayInfo

# The number of no iteration, for the last judging.
_LAST = np.iinfo(np.int32).max


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
            before, self.good = self.good, self.progress
            code = self._iterate(report)
            if code == Result.NONFINITE and not self.trouble:
                self._go_back(before)
            elif code != Result.MAX_ITERATIONS:
                self._end(code)
            if code != Result.MAX_ITERATIONS:
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
        if self.num_steps > 0:
            first = float(self.table()[0, 0])
        return atol + rtol * first if atol or rtol else -np.inf

    def _end(self, code: Result) -> None:
        kept = self.progress
        self.progress = Progress(kept.state, kept.num_steps, jnp.asarray(int(code)))

    def _go_back(self, good: Any) -> None:
        """Ends at `good`, the iterate before, as the present one is worth no number."""
        self.trouble = f"iteration {self.num_steps}: values of its policy are not finite"
        self.good = self.progress = self.progress if good is None else good
        self._end(Result.NONFINITE)

    def evaluate(self) -> Solution:
        """The last good iterate."""
        info = self._judge_last()
        if not self.trouble and not np.isfinite(float(info.exploitability)):
            self._go_back(self.good)
            info = self._judge_last()
        solver, state = self.solver, self.progress.state
        self.initial = float(info.exploitability)
        if self.num_steps > 0:
            self.initial = float(self.table()[0, 0])
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

    def _judge_last(self) -> PlayInfo:
        solver, state = self.solver, self.progress.state
        key, response_key = jax.random.split(jax.random.fold_in(self.key, _LAST))
        response, trouble = state.response, ""
        if not solver.knows_exploitability(self.game):
            response = self.call(_best_response, self.game, solver, state, response_key)
            trained = dataclasses.replace(state, response=response)
            trouble = solver.trouble(self.game, solver.phases[0], trained)
        info = self._judge(state, response, key)
        if not trouble:
            return info
        self.trouble = self.trouble or f"judging iteration {self.num_steps}: {trouble}"
        self.good = self.progress
        self._end(Result.NONFINITE)
        return dataclasses.replace(info, exploitability=jnp.full_like(info.exploitability, jnp.nan))


@eqx.filter_jit
def _begin(game: Any, solver: AbstractDeepPlay, key: PRNGKeyArray) -> Any:
    return strong(solver.init_uniform(game, key=key))


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
