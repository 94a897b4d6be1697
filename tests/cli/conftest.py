"""The command line, called in this process."""

import re

import jax
import pytest

from nashfield import cli


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
