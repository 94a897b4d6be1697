"""`nashfield check` of what deep play learnt: fresh roll-outs beside what is recorded."""

import math
from typing import Any

# Roll-outs, each of as many agents as the run had.
_NUM_CROWDS = 16
# A difference of so many standard errors is no chance, nor is a crowd so many times farther from
# the roll-outs than they are from one another.
_STANDARD_ERRORS, _TIMES = 5, 3


def play_again(solution: Any) -> tuple[str, list[str]]:
    """What fresh roll-outs of the saved policy say, and what is wrong with the files."""
    import equinox as eqx
    import jax
    import numpy as np

    from nashfield.metrics.responders import reference_of

    keys = jax.random.split(jax.random.key(1), _NUM_CROWDS)
    look = eqx.filter_jit(_look)
    rows = np.array([[float(number) for number in look(solution, key)] for key in keys])
    if not np.isfinite(rows).all():
        return "values are not finite", ["the policy leads to states or rewards without bound"]
    values, gains, apart, chance = rows.T
    beyond = _beyond(values, solution.social_welfare)
    faults = [f"the recorded value is off by {beyond}"] if beyond else []
    # What is learnt misses the crowd a little, and the run knows by how much.
    known = float(solution.history.get("eps_cnf", np.zeros(1))[-1])
    if not apart.mean() <= known + _TIMES * chance.mean():
        faults.append(
            f"the crowd is not that of the policy: it is {apart.mean():.2g} from roll-outs, which "
            f"are {chance.mean():.2g} from one another"
        )
    if reference_of(solution.game) == "learned":
        text = f"value {_mean(values)} (recorded {solution.social_welfare:.6g})"
        return f"{text}; exploitability is known by training alone: not recomputed", faults
    beyond = _beyond(gains, solution.exploitability)
    faults += [f"the recorded exploitability is off by {beyond}"] if beyond else []
    return f"exploitability {_mean(gains)} (recorded {solution.exploitability:.6g})", faults


def _look(solution: Any, key: Any) -> tuple[Any, Any, Any, Any]:
    """Value, gain, distance of the saved crowd from a roll-out, and between two roll-outs."""
    import jax
    import jax.numpy as jnp

    from nashfield.dynamics.episodes import rollout_flow
    from nashfield.metrics.responders import gain, reference_response, sliced_wasserstein

    game, policy, size = solution.game, solution.policy, solution.solver.num_agents
    keys = jax.random.split(key, 4)
    crowd, other = (rollout_flow(game, policy, num_agents=size, key=key) for key in keys[:2])
    states: Any = crowd.laws.states  # type: ignore[union-attr]
    response = reference_response(game, crowd, states)
    value, gained = gain(
        game, policy, policy if response is None else response, crowd, num_agents=size, key=keys[2]
    )
    saved = solution.flow.sample(keys[3], size)

    def apart(points: Any) -> Any:
        return jnp.mean(sliced_wasserstein(points, states))

    return value, gained, apart(saved), apart(other.laws.states)  # type: ignore[union-attr]


def _mean(values: Any) -> str:
    error = values.std(ddof=1) / math.sqrt(len(values))
    return f"{values.mean():.6g} +- {error:.2g} in {len(values)} roll-outs"


def _beyond(values: Any, recorded: float) -> str:
    """By how many standard errors of one roll-out; empty where that can be chance."""
    error = values.std(ddof=1) * math.sqrt(1 + 1 / len(values))
    off = abs(recorded - values.mean())
    if off <= _STANDARD_ERRORS * error:
        return ""
    return f"{off:.2g}, {off / max(error, 1e-300):.1f} standard errors"
