"""Shape and type checks of every annotated function, and double precision unless a test says so."""

import os

import pytest

# Before JAX is imported: tests compile thousands of programs and hardly run them, and XLA's older
# way to write machine code compiles twice as fast. What the environment says comes later and wins:
# XLA_FLAGS="--xla_backend_optimization_level=3 --xla_cpu_use_fusion_emitters=true" tests the code
# that users run.
QUICK = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
os.environ["XLA_FLAGS"] = f"{QUICK} {os.environ.get('XLA_FLAGS', '')}"

import jax
from jaxtyping import config, install_import_hook

# nashfield imports its modules lazily, inside tests: the hook stays for the whole session.
install_import_hook("nashfield", "beartype.beartype")


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """Every compiled program holds memory maps, of which a process has only so many."""
    yield
    jax.clear_caches()


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=["float64", "float32"])
def precision(request):
    """Runs a test in both precisions; gives its name."""
    with jax.enable_x64(request.param == "float64"):
        yield request.param


@pytest.fixture
def without_type_checks():
    """Calls as a user makes them, who may pass what the annotations do not name."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
