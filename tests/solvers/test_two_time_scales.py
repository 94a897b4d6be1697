import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.malware import MalwareSpread
from nashfield.games.zoo.malware_continuous import ContinuousMalwareSpread
from nashfield.learners import ExactCritic, Reinforce, SimultaneousPerturbation
from nashfield.policies import SoftThreshold, Threshold

KEY = jax.random.key(0)
GAME = MalwareSpread(inclusive=True)
SMALL = MalwareSpread(num_states=5)
HEALTH = np.linspace(0, 1, 101)


def test_without_noise_it_ends_at_the_local_equilibrium(precision):
    solution = nf.solve(GAME, nf.TwoTimeScales(SoftThreshold(0.9)), num_iterations=300)
    assert abs(solution.policy.theta - 0.480336) < 0.005
    assert abs(np.dot(solution.state.states, HEALTH) - 0.346140) < 0.005
    assert abs(np.sum(solution.state.states) - 1) < 1e-5
    assert solution.policy.theta.dtype == jnp.dtype(precision)


@pytest.mark.slow
def test_from_samples_it_ends_there_for_nearly_every_seed():
    solver = nf.TwoTimeScales(
        SoftThreshold(0.9),
        gradient=Reinforce(num_trajectories=100, baseline=ExactCritic()),
        policy_step=nf.PowerStep(0.5, 1.0),
        mean_field_step=nf.PowerStep(1.0, 0.6),
        num_samples=1000,
    )

    def learn(key):
        solution = nf.solve(GAME, solver, num_iterations=3000, key=key)
        return solution.policy.theta, solution.state.states

    theta, states = jax.jit(jax.vmap(learn))(jax.random.split(KEY, 20))
    near = (abs(theta - 0.480336) < 0.005) & (abs(states @ HEALTH - 0.346140) < 0.005)
    assert np.mean(near) >= 0.85


def test_both_move_at_once_by_the_steps_of_the_formula():
    solver = nf.TwoTimeScales(
        SoftThreshold(0.4),
        policy_step=nf.PowerStep(0.2, 0.9),
        mean_field_step=nf.PowerStep(0.7, 0.8),
    )
    solution = nf.solve(SMALL, solver, num_iterations=3)
    theta, z = 0.4, np.full(5, 0.2)
    x = np.linspace(0, 1, 5)
    matrix = np.triu(np.ones((5, 5)), 1) / np.maximum(np.arange(5)[::-1], 1)[:, None]
    matrix[-1, -1] = 1
    for k in range(3):
        norm = abs(nf.partial_gradient(SMALL, SoftThreshold(theta)).theta)  # at its own crowd
        assert solution.history["gradient_norm"][k] == pytest.approx(float(norm), abs=1e-12)
        acts = 1 / (1 + np.exp(-(x - theta) / 0.05))
        crowd = nf.FiniteMeanField(jnp.asarray(z))
        gradient = nf.partial_gradient(SMALL, SoftThreshold(theta), crowd).theta
        ahead = (z * (1 - acts)) @ matrix
        ahead[0] += z @ acts
        theta += 0.2 / (1 + k) ** 0.9 * float(gradient)
        z = z + 0.7 / (1 + k) ** 0.8 * (ahead - z)
    assert solution.policy.theta == pytest.approx(float(theta), abs=1e-12)
    np.testing.assert_allclose(solution.state.states, z, atol=1e-12)
    # The flow is that of the policy; the state's is on its way there.
    own = nf.stationary_mean_field(SMALL, solution.policy.table(SMALL))
    np.testing.assert_allclose(solution.flow.states, own.states, atol=1e-12)


def test_samples_follow_the_law_that_they_stand_for():
    num_samples = 100_000
    solver = nf.TwoTimeScales(SoftThreshold(0.4), num_samples=num_samples)
    sampled = nf.solve(SMALL, solver, num_iterations=1, key=KEY).state.states
    exact = nf.solve(SMALL, nf.TwoTimeScales(SoftThreshold(0.4)), num_iterations=1).state.states
    deviation = np.sqrt(exact * (1 - exact) / num_samples)
    assert np.all(abs(sampled - exact) < 4 * deviation)
    other = nf.solve(SMALL, solver, num_iterations=1, key=jax.random.key(1)).state.states
    assert np.any(other != sampled)


def test_policies_that_jump():
    few = SimultaneousPerturbation(num_trajectories=20, num_steps=10)
    solver = nf.TwoTimeScales(Threshold(0.5), gradient=few)
    solution = nf.solve(SMALL, solver, num_iterations=1)
    step = abs(solution.policy.theta - 0.5) / 0.5
    assert solution.history["gradient_norm"][0] == pytest.approx(float(step), rel=1e-6)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ({"policy_step": (0.5, 1.1)}, "policy_step.power = 1.1 .* finite sum.* at most 1"),
        ({"mean_field_step": (1, 1.2)}, "mean_field_step.power = 1.2 .* finite sum.* at most 1"),
        ({"mean_field_step": (1, 0.5)}, "mean_field_step.power = 0.5 .* noise .* above 0.5"),
        (
            {"policy_step": (1, 0.4), "mean_field_step": (1, 0.3)},
            "policy_step.power = 0.4 .* squares .* noise .* above 0.5",
        ),
        (
            {"policy_step": (1, 0.7), "mean_field_step": (1, 0.7)},
            "ratio .* policy_step.power must be above mean_field_step.power",
        ),
        ({"mean_field_step": (1.5, 0.6)}, "mean_field_step.scale must be at most 1"),
    ],
)
def test_step_sizes_that_break_a_condition(steps, message):
    steps = {name: nf.PowerStep(*numbers) for name, numbers in steps.items()}
    with pytest.raises(nf.ParameterError, match=message):
        nf.TwoTimeScales(**steps)


def test_traced_step_sizes_are_taken_as_they_are():
    def end(power):
        solver = nf.TwoTimeScales(policy_step=nf.PowerStep(0.5, power))
        return nf.solve(SMALL, solver, num_iterations=2).policy.theta

    assert jax.vmap(end)(jnp.array([0.8, 1.0])).shape == (2,)


def test_other_errors(without_type_checks):
    with pytest.raises(nf.ParameterError, match="num_samples must be at least 1"):
        nf.TwoTimeScales(num_samples=0)
    with pytest.raises(nf.ParameterError, match="needs a policy with parameters"):
        nf.TwoTimeScales(np.full((5, 2), 0.5))
    with pytest.raises(TypeError, match="TwoTimeScales solves only of class StationaryGame"):
        nf.solve(ContinuousMalwareSpread(), nf.TwoTimeScales(), num_iterations=1)
