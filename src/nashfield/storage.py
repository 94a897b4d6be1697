"""Files of a run folder: a JSON header, a CSV log, arrays. Reading one executes nothing.

config.json     what was run; history.csv   one row an iteration;
checkpoint.npz  where to go on from; solution.npz  the answer. Pictures lie beside them.
"""

import csv
import io
import json
import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nashfield.results import NashfieldError

FORMAT = "nashfield-run"
VERSION = 1
CONFIG, HISTORY = "config.json", "history.csv"
CHECKPOINT, SOLUTION = "checkpoint.npz", "solution.npz"
NEURAL_FIT = "neural-fit"
"""Kind of a config.json that belongs to a fit."""
# What `nashfield fit epidemic` writes.
_EPIDEMIC = "fit.json"
COLUMNS = ("exploitability", "social_welfare")
"""What every history holds; solvers may add to it."""


class RunFolderError(NashfieldError):
    """A run folder that cannot be read or written; the message names the file and the way out."""


def new_folder(path: Path, *, way_out: str = "") -> None:
    """Makes `path`, which must not exist or be empty: nothing is ever overwritten.

    Args:
        path: the folder.
        way_out: what else can be done about a folder that is full, if anything.

    Raises:
        RunFolderError: it holds files, is a file, or cannot be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        full = any(path.iterdir())
    except (FileExistsError, NotADirectoryError) as error:
        raise RunFolderError(f"{path}: not a folder; name another one") from error
    except OSError as error:
        raise RunFolderError(f"{path}: cannot make this folder ({error.strerror})") from error
    if full:
        raise RunFolderError(
            f"{path}: the folder is not empty; name another one or remove it{way_out}"
        )
    if not os.access(path, os.W_OK):
        raise RunFolderError(f"{path}: cannot write to this folder (permission denied)")


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Writes config.json, with the name and the version of the format in front."""
    header = {"format": FORMAT, "version": VERSION, **config}
    text = json.dumps(header, indent=2, allow_nan=False) + "\n"
    _replace(folder / CONFIG, text.encode())


def read_config(folder: Path) -> dict[str, Any]:
    """Reads config.json.

    Args:
        folder: the run folder.

    Raises:
        RunFolderError: there is no such folder or file, or it is not of this format and version.
    """
    if not folder.is_dir():
        raise RunFolderError(f"{folder}: there is no such run folder")
    path = folder / CONFIG
    hint = "this is not a run folder"
    if (folder / _EPIDEMIC).is_file():
        hint = f"this is a fit of an epidemic, see {_EPIDEMIC} and the files beside it"
    try:
        config = json.loads(_read(path, hint))
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{path}: broken, not JSON ({error})") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise RunFolderError(f"{path}: not written by nashfield (no format {FORMAT!r})")
    if config.get("version") != VERSION:
        raise RunFolderError(
            f"{path}: format version {config.get('version')!r}, but this nashfield reads version "
            f"{VERSION}; install the version that wrote it"
        )
    return config


def check_is_run(folder: Path, config: dict[str, Any]) -> None:
    """Raises RunFolderError where the folder holds a fit, not a solution."""
    if config.get("kind") == NEURAL_FIT:
        raise RunFolderError(
            f"{folder}: this is a fit of a neural mean-field game, not a run: open it with "
            "nf.neural.Fit.load"
        )


def write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Writes an .npz in one stroke: a reader sees the old file or the new one, never a part."""
    buffer = io.BytesIO()
    plain: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    np.savez(buffer, **plain)
    _replace(path, buffer.getvalue())


def read_arrays(path: Path, hint: str) -> dict[str, np.ndarray]:
    """Reads an .npz, arrays of numbers only.

    Args:
        path: the file.
        hint: what it means if there is no such file.

    Raises:
        RunFolderError: it is missing, truncated, or holds anything but numbers.
    """
    data = _read(path, hint)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise RunFolderError(f"{path}: broken or truncated ({error})") from error
    except (AttributeError, TypeError, NotImplementedError, RuntimeError) as error:
        raise RunFolderError(f"{path}: not arrays of numbers ({error})") from error


def write_history(path: Path, table: np.ndarray, columns: Sequence[str], *, start: int = 0) -> None:
    """Writes history.csv anew (start = 0) or appends rows to it; numbers keep all their digits.

    Args:
        path: the file.
        table: (K, number of columns).
        columns: their names.
        start: number of the first row.
    """
    rows = enumerate(table.tolist(), start)
    lines = [",".join((str(k), *map(repr, row))) for k, row in rows]
    if not start:
        lines.insert(0, ",".join(("iteration", *columns)))
    data = "".join(line + "\n" for line in lines).encode()
    if not start:
        _replace(path, data)
        return
    try:
        with path.open("ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be written ({error.strerror})") from error


def read_history(path: Path, num_rows: int, columns: Sequence[str]) -> np.ndarray:
    """Reads the first `num_rows` rows of history.csv; later ones belong to steps that were lost.

    Args:
        path: the file.
        num_rows: rows that a checkpoint vouches for.
        columns: names of the columns.

    Returns:
        (num_rows, number of columns).

    Raises:
        RunFolderError: the file is missing or broken, or has fewer rows.
    """
    text = _read(path, "it belongs to the checkpoint")
    rows = list(csv.reader(io.StringIO(text.decode(errors="replace"))))
    header = ("iteration", *columns)
    if not rows or tuple(rows[0]) != header:
        raise RunFolderError(f"{path}: not a history, its first line must be {','.join(header)}")
    rows = rows[1 : num_rows + 1]
    kinds = [int, *[float] * len(columns)]
    try:
        # strict: a torn line has fewer entries
        numbers = [[kind(x) for kind, x in zip(kinds, row, strict=True)] for row in rows]
    except ValueError as error:
        raise RunFolderError(f"{path}: broken ({error})") from error
    if [row[0] for row in numbers] != list(range(num_rows)):
        raise RunFolderError(f"{path}: rows are missing, the checkpoint stands at {num_rows}")
    return np.array([row[1:] for row in numbers], float).reshape(num_rows, len(columns))


def state_arrays(state: Any) -> dict[str, Any]:
    """Flattens a pytree of arrays into named arrays; random keys become their words."""
    leaves = jax.tree.leaves(state)
    return {f"state_{i}": _words(leaf) for i, leaf in enumerate(leaves)}


def restore_state(template: Any, arrays: dict[str, np.ndarray], path: Path) -> Any:
    """Turns `state_arrays` around.

    Args:
        template: a pytree of the same structure.
        arrays: what was read.
        path: where from, for messages.

    Raises:
        RunFolderError: number, shapes or types of the arrays differ from the template's.
    """
    leaves, structure = jax.tree.flatten(template)
    names = [name for name in arrays if name.startswith("state_")]
    if len(names) != len(leaves):
        raise RunFolderError(f"{path}: {len(names)} arrays in place of {len(leaves)}")
    restored = []
    for i, leaf in enumerate(leaves):
        old, new = arrays.get(f"state_{i}"), _words(leaf)
        if old is None or (old.shape, old.dtype) != (new.shape, new.dtype):
            found = "nothing" if old is None else f"{old.dtype}{list(old.shape)}"
            raise RunFolderError(
                f"{path}: state_{i} is {found}, the solver needs {new.dtype}{list(new.shape)}"
            )
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            restored.append(
                jax.random.wrap_key_data(jnp.asarray(old), impl=jax.random.key_impl(leaf))
            )
        else:
            restored.append(old)
    return jax.tree.unflatten(structure, restored)


def _words(leaf: Any) -> np.ndarray:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf)


def _read(path: Path, hint: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise RunFolderError(f"{path}: there is no such file; {hint}") from error
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be read ({error.strerror})") from error


def _replace(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be written ({error.strerror})") from error
