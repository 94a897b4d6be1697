"""The command line, called in this process."""

import re

import jax
import pytest
from tests.cli.fitted import ACTIVE, DAYS, Fitted

from nashfield import cli
from nashfield.neural import epidemics


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One compilation cache for the module."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path, cache):
    """In an empty folder, with JAX's settings put back afterwards."""
    names = (
        "jax_enable_x64",
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
    )
    before = {name: getattr(jax.config, name) for name in names}
    monkeypatch.setenv("NASHFIELD_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture
def run(capsys):
    """Runs a command; gives status, standard output, standard error."""

    def call(*argv):
        status = cli.main([str(word) for word in argv])
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def fails():
    """Checks that an outcome of `run` is an error in one line with these parts."""

    def fails(outcome, *parts):
        """Whether a command ended with one line that says all of `parts`."""
        status, out, err = outcome
        assert status == 2
        assert not out
        assert re.fullmatch(r"nashfield: error: .*\n", err)
        for part in parts:
            assert part in err

    return fails


@pytest.fixture
def fitted(monkeypatch):
    """Puts `Fitted` in the place of the model; keeps what it was called with."""
    calls = []

    def fit_epidemic(counts, *, gamma, inputs, settings, c_I, c_a, key, progress):
        calls.append(Fitted(counts, gamma, inputs, settings, c_I=c_I, c_a=c_a, **changes))
        return calls[-1]

    changes: dict = {}
    fit_epidemic.changes = changes
    fit_epidemic.calls = calls
    monkeypatch.setattr(epidemics, "fit_epidemic", fit_epidemic)
    return fit_epidemic


@pytest.fixture
def cases(tmp_path):
    path = tmp_path / "cases.csv"
    rows = "".join(f"{day},{x:.3f}\n" for day, x in zip(DAYS, ACTIVE, strict=True))
    path.write_text("date,active\n" + rows)
    return path
