"""Parameters from text: those of a part follow its name and a dot."""

import pytest

from nashfield.games.loading import load_solver
from nashfield.registry import UnknownNameError
from nashfield.results import ParameterError
from nashfield.solvers.steps import Adam


def test_parts_and_their_parameters():
    solver = load_solver(
        "local-equilibrium",
        {
            "policy.theta": "0.3",
            "policy": "soft-threshold",
            "optimizer": "adam",
            "optimizer.learning_rate": ".1",
            "gradient": "reinforce",
            "gradient.baseline": "least-squares-critic",
            "gradient.baseline.num_steps": "50",
        },
    )
    assert solver.start.theta == 0.3
    assert solver.optimizer.learning_rate == 0.1
    assert solver.gradient.baseline.num_steps == 50


def test_a_part_that_is_there_anyway_needs_no_name():
    given = {"optimizer": Adam(0.2), "optimizer.learning_rate": ".1"}
    assert load_solver("local-equilibrium", given).optimizer.learning_rate == 0.1


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"policy.theta": "1"}, ParameterError, "say which policy it is before policy.theta"),
        ({"x.y": "1"}, UnknownNameError, "has no part 'x' to set 'y' of; parts are policy., "),
        ({"policy": "threshold", "policy.thet": "1"}, UnknownNameError, "did you mean 'theta'"),
    ],
)
def test_parameters_of_no_part(parameters, error, message):
    with pytest.raises(error, match=message):
        load_solver("local-equilibrium", parameters)


def test_a_solver_without_parts():
    with pytest.raises(UnknownNameError, match="it has no parts"):
        load_solver("online-mirror-descent", {"learning_rate.x": "1"})
