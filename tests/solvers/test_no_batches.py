"""No solver hands a batch of factorisations to LAPACK, also not under vmap.

Two of them in one program wait for each other for ever (see `dynamics.elimination`).
"""

import jax
import jax.core
import jax.numpy as jnp
import pytest

import nashfield as nf

FACTORISATIONS = {"lu", "cholesky", "triangular_solve", "geqrf", "qr", "svd", "eigh", "eig"}


def equations(jaxpr):
    """All equations of a program, those of its loops and branches too."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.core.jaxprs_in_params(equation.params):
            yield from equations(inner)


@pytest.mark.parametrize(
    "solver",
    [nf.FixedPoint(), nf.Auto(), nf.ExactEquilibrium(), nf.LocalSocialOptimum()],
    ids=lambda solver: type(solver).__name__,
)
def test_systems_are_solved_one_by_one(solver):
    def solve(cost):
        game = nf.games.MalwareSpread(7, repair_cost=cost)
        return nf.solve(game, solver, num_iterations=1).exploitability

    program = jax.make_jaxpr(jax.vmap(solve))(jnp.array([0.3, 0.5]))
    found = [e for e in equations(program.jaxpr) if e.primitive.name in FACTORISATIONS]
    assert found
    assert all(e.invars[0].aval.ndim == 2 for e in found)
