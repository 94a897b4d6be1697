"""The paper run again, small by default, with its own settings in the slow tests."""

import json
import sys

import jax
import numpy as np
import pytest

from nashfield.papers.subramanian2019 import investments, malware, neural, reproduce


def quiet(line: str) -> None:
    """Tells nobody."""


@pytest.mark.slow
def test_exact_lines():
    rows = malware.exact_rows()
    assert [row.agrees for row in rows] == [True, True, None] * 2 + [True] * 4
    assert rows[2].ours == pytest.approx(5.7e-6, rel=0.01)


def test_curves_are_those_of_the_sheet():
    """Recomputed values of the strict grid, and levels between two cells."""
    from nashfield.games.zoo.malware import MalwareSpread

    thetas = np.array([[0.2, 0.3], [0.395, 0.4], [0.6, 1.0]])
    found = jax.tree.map(np.asarray, malware.exact_curves(MalwareSpread(), thetas))
    np.testing.assert_allclose(found["J"][0], [-3.781075, -3.792271], atol=1e-6)
    np.testing.assert_allclose(found["J"][1], [-3.836141] * 2, atol=1e-6)
    np.testing.assert_allclose(
        found["<z>"][:2].ravel()[[0, 1, 3]], [0.281346, 0.300737, 0.323560], atol=1e-6
    )


@pytest.mark.slow
def test_quick(tmp_path):
    report = reproduce(quick=True, key=jax.random.key(0), tell=quiet)
    names = [row.name for row in report.rows]
    assert len(set(names)) == len(names)
    report.save(tmp_path)
    json.dumps([row.as_json() for row in report.rows], allow_nan=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "part", [malware.learn_thresholds, neural.learn, investments.learn], ids=lambda f: f.__module__
)
def test_hundred_seeds(part):
    rows, _ = part(100, key=jax.random.key(0), tell=quiet)
    judged = [row for row in rows if row.agrees is not None]
    assert len(judged) == {malware: 6, neural: 3, investments: 11}[sys.modules[part.__module__]]
    assert all(row.agrees for row in judged)
