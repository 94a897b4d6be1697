"""Pictures and animations of agents show where they are and how fast they go."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.animation import PillowWriter
from matplotlib.figure import Figure
from PIL import Image

import nashfield as nf
from nashfield.dynamics.episodes import Episodes

RNG = np.random.default_rng(0)


def episodes(horizon, num_agents, dim):
    """Invented ones inside of the box [0, .5]^dim."""
    states = RNG.uniform(0, 0.5, (horizon + 1, num_agents, dim))
    actions = RNG.normal(size=(horizon, num_agents, dim))
    return Episodes(*map(jnp.asarray, (states, actions, np.zeros((horizon + 1, num_agents)))))


def test_maps_show_agents_speeds_and_walls():
    game, played = nf.games.FourRoomsPlane(horizon=3), episodes(3, 50, 2)
    frame = nf.plotting.plot_agents(game, played)
    panels = [ax for ax in frame.figure.axes if ax.get_title()]
    assert [ax.get_title() for ax in panels] == [f"time {t}" for t in range(4)]
    for t, ax in enumerate(panels):
        dots = ax.collections[0]
        np.testing.assert_allclose(dots.get_offsets(), played.states[t])
        if t < 3:
            speeds = np.hypot(*np.moveaxis(np.asarray(played.actions[t]), -1, 0))
            np.testing.assert_allclose(dots.get_array(), speeds)
        else:
            assert dots.get_array() is None
        wall = np.asarray(ax.images[0].get_array().filled(0))  # rows go up, columns to the right
        centre = (np.arange(200) + 0.5) / 400
        for x, y in ((0.05, 0.25), (0.15, 0.25), (0.25, 0.05), (0.4, 0.4)):
            column, row = np.argmin(abs(centre - x)), np.argmin(abs(centre - y))
            assert wall[row, column] == (not bool(game.free(jnp.asarray([x, y]))))
        assert 0.01 < wall.mean() < 0.3


def test_chosen_times():
    game, played = nf.games.FourRoomsPlane(horizon=20), episodes(20, 10, 2)
    frame = nf.plotting.plot_agents(game, played, times=range(21))
    assert sum(bool(ax.get_title()) for ax in frame.figure.axes) == 21
    with pytest.raises(ValueError, match=r"times must lie in 0\.\.20, not \[21\]"):
        nf.plotting.plot_agents(game, played, times=[21])


def test_paths_on_the_line():
    played = episodes(4, 60, 1)
    ax = nf.plotting.plot_agents(nf.games.BeachBarLine(horizon=4), played)
    assert len(ax.lines) == 40
    for i, line in enumerate(ax.lines):
        np.testing.assert_allclose(line.get_ydata(), played.states[:, i, 0])


GAMES = {1: nf.games.BeachBarLine(horizon=3), 2: nf.games.FourRoomsPlane(horizon=3)}


@pytest.mark.parametrize("dim", [1, 2])
def test_an_animation_has_a_frame_a_time(dim, tmp_path):
    (path,) = nf.plotting.save_animation(GAMES[dim], episodes(3, 30, dim), tmp_path / "new")
    assert path.name == "agents.gif"
    frames = []
    with Image.open(path) as image:
        assert image.n_frames == 4
        for t in range(4):
            image.seek(t)
            frames.append(np.asarray(image.convert("RGB")))
    assert all(np.any(a != b) for a, b in itertools.pairwise(frames))


def test_without_pillow_it_is_a_picture_a_frame(tmp_path, monkeypatch):
    monkeypatch.setattr(PillowWriter, "isAvailable", classmethod(lambda cls: False))
    paths = nf.plotting.save_animation(GAMES[1], episodes(3, 5, 1), tmp_path)
    assert [path.name for path in paths] == [f"agents-{t:03d}.png" for t in range(4)]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_errors(tmp_path):
    cube = nf.games.LinearQuadratic(A=np.eye(3), horizon=2)
    with pytest.raises(ValueError, match="LinearQuadratic has 3 coordinates"):
        nf.plotting.save_animation(cube, episodes(2, 5, 3), tmp_path)
    with pytest.raises(ValueError, match="grid of subplots"):
        ax = Figure().add_axes((0, 0, 1, 1))
        nf.plotting.plot_agents(GAMES[2], episodes(3, 5, 2), ax=ax)
