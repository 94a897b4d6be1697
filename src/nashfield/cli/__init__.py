"""The command `nashfield`: one file a command; what a command needs is imported when it runs."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from nashfield.cli.parser import parse
from nashfield.results import NashfieldError

ERROR, INTERRUPTED = 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: what follows `nashfield`; the process's own arguments if None.

    Returns:
        Exit status: 0; 1 where `check` finds a difference; 2 for an error, told in one line on
        standard error; 130 after Ctrl-C.
    """
    try:
        args = parse(sys.argv[1:] if argv is None else argv)
        return import_module(f"nashfield.cli.{args.module}").main(args)
    except KeyboardInterrupt as interrupt:
        _say(str(interrupt) or "interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone, as in `nashfield games | head -1`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (NashfieldError, ValueError, OSError) as error:
        _say(f"error: {error}")
        return ERROR


def prepare() -> None:
    """Double precision, and compiled programs kept between runs; before any work of JAX."""
    import jax

    jax.config.update("jax_enable_x64", True)
    if getattr(jax.config, "jax_compilation_cache_dir", None):
        return  # the user's own choice
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # no home to write to: compile every time
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # Everything is kept: tiny programs are what a tiny game's user waits for.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def cache_folder() -> Path:
    """Where compiled programs are kept: NASHFIELD_CACHE, or below XDG_CACHE_HOME or ~/.cache."""
    chosen = os.environ.get("NASHFIELD_CACHE")
    if chosen:
        return Path(chosen)
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(home) / "nashfield"


def _say(text: str) -> None:
    print(f"nashfield: {' '.join(text.splitlines())}", file=sys.stderr)
