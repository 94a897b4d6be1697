"""What is no model, no loss, no observation, no cost."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf

KEY = jax.random.key(0)
GAME = nf.games.MeetingArrival(horizon=2)


def model():
    return nf.neural.NeuralMeanFieldGame(GAME, drift=(2,), diffusion=None, key=KEY)


def test_a_game_is_no_model(without_type_checks):
    with pytest.raises(TypeError, match="fit takes a model, NeuralMeanFieldGame"):
        nf.neural.fit(GAME, np.zeros((2, 3)), key=KEY)


def test_a_name_is_no_loss(without_type_checks):
    with pytest.raises(TypeError, match=r"loss must be one such as neural\.EnergyDistance"):
        nf.neural.fit(model(), np.zeros((2, 3)), loss="mmd", key=KEY)


def test_words_are_no_states():
    with pytest.raises(nf.ParameterError, match="states of the last turn must be numbers"):
        nf.neural.fit(model(), "abc", key=KEY)


class Wrong(nf.games.MeetingArrival):
    def cost(self, t, x, statistic):
        return x


def test_a_cost_is_a_number():
    with pytest.raises(nf.GameError, match=r"Wrong.cost must give one number, not .* \(1,\)"):
        Wrong().drift(0.0, jnp.ones(1), jnp.ones(()))


@pytest.mark.slow
def test_a_fit_belongs_to_its_game(tmp_path):
    fit = nf.neural.fit(model(), np.ones((2, 3)), num_steps=1, progress=False, key=KEY)
    fit.save(tmp_path / "fit")
    assert repr(fit).startswith("Fit(MeetingArrival, best_loss=")
    other = nf.games.MeetingArrival(horizon=2, nu=0.5)
    with pytest.raises(nf.NashfieldError, match="was fitted to another game: its parameters"):
        nf.neural.Fit.load(tmp_path / "fit", game=other)
