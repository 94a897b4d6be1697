"""What a fit of a neural mean-field game gives, and how it is kept."""

import dataclasses
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield import record, storage
from nashfield.games.differential import DifferentialGame
from nashfield.neural.model import NeuralMeanFieldGame
from nashfield.neural.networks import Look
from nashfield.policies.network import Network
from nashfield.storage import RunFolderError

# Of the history.
COLUMNS = ("step", "loss")


@dataclasses.dataclass(frozen=True, repr=False)
class Fit:
    """The best model of a fit, and how the fit went.

    Attributes:
        model: with the weights that had the least loss at a look.
        best_loss: that loss.
        best_step: steps before it.
        history: "step" and "loss" of every look, each (L,).
        losses: (K,) loss of every step's own batch.
        loss: what was minimised, as text.
        diverged_at: the step whose loss was not finite, or None.
        seconds: how long it took, compilation included.
        folder: where it is kept, or None.
    """

    model: NeuralMeanFieldGame
    best_loss: float
    best_step: int
    history: dict[str, np.ndarray]
    losses: Float[np.ndarray, "K"]
    loss: str
    diverged_at: int | None = None
    seconds: float = 0.0
    folder: Path | None = None

    def __repr__(self) -> str:
        """In one line."""
        game = type(self.model.game).__name__
        where = "" if self.folder is None else f", folder={str(self.folder)!r}"
        diverged = "" if self.diverged_at is None else f", diverged_at={self.diverged_at}"
        return (
            f"Fit({game}, best_loss={self.best_loss:.4g} at step {self.best_step} of "
            f"{len(self.losses)}{diverged}, {self.seconds:.1f} s{where})"
        )

    def save(self, folder: str | Path) -> None:
        """Writes config.json, history.csv and solution.npz into a new or empty folder.

        Raises:
            RunFolderError: the folder is not empty, or cannot be written to.
        """
        storage.new_folder(Path(folder))
        write_fit(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path, *, game: Any = None) -> "Fit":
        """Reads what `save`, or `fit` with a folder, wrote. Nothing in the folder is executed.

        Args:
            folder: where it is.
            game: the game, where it comes from a user's own file.

        Raises:
            RunFolderError: a file is missing, broken, or not a fit's; or the game is not known, or
                another one.
        """
        folder = Path(folder)
        config = storage.read_config(folder)
        path = folder / storage.SOLUTION
        if config.get("kind") != "neural-fit":
            raise RunFolderError(f"{folder}: this is no fit of a neural mean-field game")
        arrays = storage.read_arrays(path, "the fit never looked at a model")
        game = record.rebuild_game(folder, config) if game is None else game
        if game is None:
            raise RunFolderError(f"{folder}: the game is from a user's own file: pass game=...")
        if not isinstance(game, DifferentialGame):
            raise RunFolderError(f"{folder}: {type(game).__name__} is no DifferentialGame")
        _check_same(folder, config["game"], record.make_config(game, None)["game"])
        try:
            num_inputs, forms = config["num_inputs"], config["networks"]
            networks = {name: _network(game, num_inputs, forms[name]) for name in _NETWORKS}
            model = NeuralMeanFieldGame(
                game, num_inputs=num_inputs, key=jax.random.key(0), **networks
            )
            old = jax.tree.leaves(_learnt(model))
            new = [jnp.asarray(arrays[f"leaf_{i}"]) for i in range(len(old))]
            if [x.shape for x in new] != [x.shape for x in old]:
                raise ValueError("its networks are of another shape than the game's")
            model = eqx.tree_at(lambda m: jax.tree.leaves(_learnt(m)), model, new)
            return cls(
                model,
                np.inf if config["best_loss"] is None else float(config["best_loss"]),
                int(config["best_step"]),
                {name: arrays[f"history_{name}"] for name in COLUMNS},
                arrays["losses"],
                str(config["loss"]),
                config["diverged_at"],
                float(config["seconds"]),
                folder,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RunFolderError(f"{folder}: broken, not a fit of this game ({error})") from error


def write_fit(fit: Fit, folder: Path) -> None:
    """Writes a fit into a folder that is there, over what an earlier look wrote."""
    spec = record.make_config(fit.model.game, None)["game"]
    config = {
        "kind": "neural-fit",
        "game": spec,
        "loss": fit.loss,
        "networks": {name: _form(getattr(fit.model, name)) for name in _NETWORKS},
        "num_inputs": fit.model.num_inputs,
        "best_loss": fit.best_loss if np.isfinite(fit.best_loss) else None,
        "best_step": fit.best_step,
        "diverged_at": fit.diverged_at,
        "seconds": fit.seconds,
    }
    storage.write_config(folder, config)
    table = np.stack([fit.history[name] for name in COLUMNS], -1)
    storage.write_history(folder / storage.HISTORY, table, COLUMNS)
    arrays = {"losses": fit.losses, **{f"history_{k}": v for k, v in fit.history.items()}}
    leaves = jax.tree.leaves(_learnt(fit.model))
    arrays |= {f"leaf_{i}": leaf for i, leaf in enumerate(leaves)}
    storage.write_arrays(folder / storage.SOLUTION, arrays)


def _check_same(folder: Path, recorded: dict[str, Any], given: dict[str, Any]) -> None:
    """Raises RunFolderError where the game is of another kind, or has other parameters."""
    for part in ("name", "class", "parameters", "fingerprint"):
        old, new = recorded.get(part), given.get(part)
        if old != new:
            raise RunFolderError(
                f"{folder}: was fitted to another game: its {part} is {old}, not {new}"
            )


_NETWORKS = ("drift", "diffusion")


def _learnt(model: NeuralMeanFieldGame) -> Any:
    """What training found: networks, scales and the unit."""
    return (model.drift, model.diffusion, model.look, model.unit)


def _form(network: Network | None) -> dict[str, Any] | None:
    """All but the weights."""
    if network is None:
        return None
    hidden = [len(bias) for bias in network.biases[:-1]]
    return {"hidden": hidden, "activation": network.activation}


def _network(game: Any, num_inputs: int, form: dict[str, Any] | None) -> Network | None:
    """One of that form, with any weights."""
    if form is None:
        return None
    if form["activation"] not in ("tanh", "relu"):
        raise ValueError(f"there is no activation {form['activation']!r}")
    num_features = Look.plain(game, num_inputs).scale.shape[0]
    widths = (num_features, *form["hidden"], game.state_dim)
    return Network.draw(widths, activation=form["activation"], key=jax.random.key(0))
