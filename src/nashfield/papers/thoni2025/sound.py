"""The system with noise of each agent's own, one network for all, and a loss between laws."""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield.games.differential import DifferentialGame
from nashfield.games.zoo.el_farol import ElFarolIntentions
from nashfield.games.zoo.meeting_arrival import MeetingArrival
from nashfield.neural.fitting import fit
from nashfield.neural.model import NeuralMeanFieldGame
from nashfield.papers.figures import Figure, new_figure
from nashfield.papers.report import Row
from nashfield.papers.thoni2025.data import EL_FAROL, MEETING, Groups, distance
from nashfield.papers.thoni2025.sizes import Sizes
from nashfield.plotting.canvas import PALETTE

# Agents that a law is known by, and where two learnt laws are compared.
_NUM_SAMPLES, _NUM_COMPARED = 25_200, 100_800
# Mean distance of the training points from their law, by number of games.
FLOORS = {1: 0.241, 3: 0.144, 10: 0.078, 30: 0.047, 100: 0.025}


@dataclasses.dataclass(frozen=True)
class Trial:
    """One fit.

    Attributes:
        model: what was learnt.
        seen: (G N,) what it was learnt from.
        law: (n,) states of the last turn that the model draws, at the N it was trained with.
        to_truth: W1 between the model's law and the true one.
        floor: W1 between what was seen and the true law.
        to_seen: W1 between the model's law and what was seen.
        spread: the model's standard deviation over that of what was seen.
        seconds: of the fit.
    """

    model: NeuralMeanFieldGame
    seen: Float[np.ndarray, "n"]
    law: Float[np.ndarray, "n"]
    to_truth: float
    floor: float
    to_seen: float
    spread: float
    seconds: float


def trial(game: DifferentialGame, data: Groups, num_games: int, *, key: PRNGKeyArray) -> Trial:
    """Fits a model to the last turn of some games."""
    data_key, model_key, fit_key, law_key = jax.random.split(key, 4)
    games = np.asarray(data.draw(data_key, num_games), float)
    model = NeuralMeanFieldGame(game, key=model_key)
    found = fit(model, games, progress=False, key=fit_key)
    law, seen = last_turn(found.model, data.num_agents, key=law_key), games.ravel()
    return Trial(
        found.model,
        seen,
        law,
        distance(law, data),
        distance(seen, data),
        distance(law, seen),
        float(law.std() / seen.std()),
        found.seconds,
    )


def last_turn(
    model: NeuralMeanFieldGame,
    num_agents: int,
    *,
    num_samples: int = _NUM_SAMPLES,
    key: PRNGKeyArray,
) -> Float[np.ndarray, "n"]:
    """States at the end of as many crowds as make `num_samples` agents."""
    end = [float(model.game.duration)]
    keys = jax.random.split(key, -(-num_samples // num_agents))
    crowds = [model.simulate(key, num_agents=num_agents, times=end) for key in keys]
    return np.concatenate([np.asarray(crowd, float).ravel() for crowd in crowds])


def play(
    sizes: Sizes, *, key: PRNGKeyArray, tell: Callable[[str], None]
) -> tuple[list[Row], dict[str, Callable[[], Figure]]]:
    """Both games."""
    keys = jax.random.split(key, 4)
    trials = _trials("meeting", MeetingArrival(), MEETING, sizes.num_seeds, keys[0], tell)
    rows = _rows("meeting, 10 games", trials)
    ratio = float(np.mean([t.to_truth for t in trials]) / np.mean([t.floor for t in trials]))
    worst = max(abs(t.spread - 1) for t in trials)
    rows += [
        Row.most("meeting: that over the floor's mean", ratio, 1.15),
        Row.most(
            "meeting: greatest W1(model, training law), hours", max(t.to_seen for t in trials), 0.06
        ),
        Row.most("meeting: greatest error of the standard deviation", worst, 0.08),
        Row.most("meeting: slowest fit, seconds", max(t.seconds for t in trials), 30.0),
    ]
    shown = trials[: sizes.num_shown]
    rows += _sizes_rows(shown, keys[1])
    rows.append(_far_from_nash(shown, keys[3], tell))
    curve = {10: trials} | {
        games: _trials(
            f"meeting, {games} games",
            MeetingArrival(),
            MEETING,
            sizes.curve_seeds,
            jax.random.fold_in(keys[0], games),
            tell,
            games,
        )
        for games in sizes.curve
    }
    for games in sorted(curve):
        known = FLOORS[games]
        floor = [t.floor for t in curve[games]]
        text = f"meeting, {games} games: W1(training points, law)"
        rows.append(Row.mean(text, None, floor, reference=known))
        ours = [t.to_truth for t in curve[games]]
        rows.append(Row.mean(f"meeting, {games} games: W1(model, law)", None, ours))
    bars = _trials("El Farol", ElFarolIntentions(), EL_FAROL, sizes.num_seeds, keys[2], tell)
    rows.append(Row.mean("El Farol: W1(model, law)", None, [t.to_truth for t in bars], 0.015))
    wide = [
        distance(last_turn(t.model, 420, key=keys[2]), EL_FAROL) for t in bars[: sizes.num_shown]
    ]
    rows.append(Row.mean("El Farol: W1(model with N = 420, law)", None, wide, 0.02))
    pictures = {
        "laws.png": lambda: _draw_laws(trials[0], bars[0]),
        "learning-curve.png": lambda: _draw_curve(curve),
    }
    return rows, pictures


def _trials(
    name: str,
    game: DifferentialGame,
    data: Groups,
    num_seeds: int,
    key: PRNGKeyArray,
    tell: Callable[[str], None],
    num_games: int = 10,
) -> list[Trial]:
    found = []
    for seed, one in enumerate(jax.random.split(key, num_seeds)):
        found.append(trial(game, data, num_games, key=one))
        tell(f"{name}: fit {seed + 1} of {num_seeds}, W1 to the law {found[-1].to_truth:.3f}")
    return found


def _rows(name: str, trials: list[Trial]) -> list[Row]:
    return [
        Row.mean(f"{name}: W1(model, law), hours", None, [t.to_truth for t in trials]),
        Row.mean(f"{name}: W1(model, training law), hours", None, [t.to_seen for t in trials]),
    ]


def _sizes_rows(trials: list[Trial], key: PRNGKeyArray) -> list[Row]:
    """How far laws at different numbers of agents are apart."""
    pairs: dict[tuple[int, int], list[float]] = {(420, 4200): [], (42, 420): []}
    for seed, t in enumerate(trials):
        keys = jax.random.split(jax.random.fold_in(key, seed), 3)
        laws = {
            n: last_turn(t.model, n, num_samples=_NUM_COMPARED, key=k)
            for n, k in zip((42, 420, 4200), keys, strict=True)
        }
        for pair, apart in pairs.items():
            apart.append(distance(laws[pair[0]], laws[pair[1]]))
    most = {(420, 4200): 0.01, (42, 420): 0.07}
    return [
        Row.mean(f"meeting: W1 between N = {a} and {b}, hours", None, apart, most[a, b])
        for (a, b), apart in pairs.items()
    ]


def _far_from_nash(trials: list[Trial], key: PRNGKeyArray, tell: Callable[[str], None]) -> Row:
    tell("meeting: exploitability of what was learnt ...")
    keys = jax.random.split(key, len(trials))
    found = [t.model.exploitability(key=key) for t, key in zip(trials, keys, strict=True)]
    error = max(float(certificate.error) for certificate in found)
    return Row.mean(
        "meeting: exploitability of the learnt crowd",
        None,
        [float(certificate) for certificate in found],
        bar=f"(the grid's error is {error:.2g} at most)",
    )


def _draw_laws(meeting: Trial, bar: Trial) -> Figure:
    figure, axes = new_figure(1, 2, 9.0, 3.6)
    sides = ((meeting, MEETING, "arrival (hours)"), (bar, EL_FAROL, "intention to go"))
    levels = (np.arange(2000) + 0.5) / 2000
    for ax, (t, data, label) in zip(axes[0], sides, strict=True):
        known = data.quantiles(levels)
        bins = np.linspace(known.min(), known.max(), 60)
        ax.hist(t.seen, bins, density=True, color=PALETTE[1], alpha=0.35, label="training points")
        ax.hist(
            t.law, bins, density=True, histtype="step", color=PALETTE[0], lw=1.6, label="learnt"
        )
        ax.hist(
            known, bins, density=True, histtype="step", color="0.2", lw=1.0, ls="--", label="true"
        )
        ax.set_xlabel(label)
        ax.set_yticks([])
    axes[0, 0].legend(frameon=False, fontsize=8)
    axes[0, 0].set_title("Meeting, last turn", fontsize=10)
    axes[0, 1].set_title("El Farol, last turn", fontsize=10)
    return figure


def _draw_curve(curve: dict[int, list[Trial]]) -> Figure:
    figure, axes = new_figure(1, 1, 5.2, 3.6)
    ax, games = axes[0, 0], sorted(curve)
    for name, color, pick in (
        ("model", PALETTE[0], lambda t: t.to_truth),
        ("training points", PALETTE[1], lambda t: t.floor),
    ):
        values = [[pick(t) for t in curve[g]] for g in games]
        means, spreads = [np.mean(v) for v in values], [np.std(v) for v in values]
        ax.errorbar(games, means, spreads, marker="o", capsize=3, color=color, label=name)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("training games of 42 agents")
    ax.set_ylabel("W1 to the true law (hours)")
    ax.legend(frameon=False)
    return figure
