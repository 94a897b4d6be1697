"""Arguments of the command, their help, and what to say of a misspelt one."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from nashfield.cli.fit_arguments import add_fit_arguments
from nashfield.cli.values import count, positive, setting, tolerance
from nashfield.registry import PAPERS, suggest
from nashfield.results import NashfieldError

DEFAULT_SOLVER = "auto"
DEFAULT_ITERATIONS = 10_000
DEFAULT_GRADIENT_STEPS = 500
DEFAULT_TOLERANCE = 1e-4

_EXAMPLES = """examples:
  nashfield solve beach-bar
  nashfield solve beach-bar --set num_states=200 --tolerance 1e-3 --out runs/bar
  nashfield solve beach-bar --set num_states=200 --tolerance 1e-3 --out runs/bar --resume
  nashfield solve my_game.py:MyGame --solver fictitious-play --iterations 1000
  nashfield solve beach-bar-line --grid num_cells=60 num_actions=21
  nashfield solve linear-quadratic --solver deda-fp --iterations 20 --solver-set learner=sac
"""


class UsageError(NashfieldError):
    """A command line that makes no sense."""


class _Parser(argparse.ArgumentParser):
    """Reports through exceptions, so that every error leaves by one door."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Reads a command line.

    Args:
        argv: what follows `nashfield`.

    Returns:
        The arguments, with `module`, the file below nashfield.cli that runs them.

    Raises:
        UsageError: an unknown command or option, or a value of the wrong type.
    """
    parser = _Parser(
        prog="nashfield",
        description="Solve mean-field games, and see how far from Nash the answer is.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    known = {
        "games": _catalogue(commands, "games"),
        "solvers": _catalogue(commands, "solvers"),
        "solve": _solve(commands),
        "check": _check(commands),
        "plot": _plot(commands),
        "simulate": _simulate(commands),
        "fit": _fit(commands),
        "datasets": _datasets(commands),
        "paper": _paper(commands),
    }
    first = argv[0] if argv else "--help"
    if first == "--version":
        return argparse.Namespace(module="version")
    if not first.startswith("-") and first not in known:
        raise UsageError(f"unknown command {first!r}; {suggest(first, known)}")
    args, extra = parser.parse_known_args(list(argv) or ["--help"])
    if extra:
        options = known[first]._option_string_actions if first in known else {"--help", "--version"}
        kind = "option" if extra[0].startswith("-") else "argument"
        name = extra[0].split("=")[0]
        hint = f"; {suggest(name, options)}" if kind == "option" else ""
        raise UsageError(f"unknown {kind} {name!r}{hint}")
    return args


def _add(commands: Any, name: str, module: str, text: str, **kwargs: Any) -> _Parser:
    parser = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        **kwargs,
    )
    parser.set_defaults(module=module, command=name)
    return parser


def _catalogue(commands: Any, name: str) -> _Parser:
    text = (
        "list the games of the zoo, or tell of one"
        if name == "games"
        else "list the solvers, or tell of one"
    )
    parser = _add(commands, name, "catalogue", text)
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="tell of this one and its parameters"
    )
    parser.add_argument(
        "--json", action="store_true", help="one line: a list of objects, or one of them"
    )
    return parser


def _solve(commands: Any) -> _Parser:
    parser = _add(commands, "solve", "solve", "solve a game", epilog=_EXAMPLES)
    add = parser.add_argument
    add("game", help="a name (see `nashfield games`), or PATH.py:CLASS for a game of your own")
    add(
        "--solver",
        default=DEFAULT_SOLVER,
        help="a name (see `nashfield solvers`; default %(default)s)",
    )
    add(
        "--iterations",
        type=count,
        metavar="N",
        help="at most so many, those before a resumption included (default "
        f"{DEFAULT_ITERATIONS}; {DEFAULT_GRADIENT_STEPS} where a policy is trained; 20 of deep "
        "fictitious play and 100 of deep mirror descent, or what the solver's capacity holds)",
    )
    add(
        "--tolerance",
        type=tolerance,
        metavar="X",
        help="stop once the exploitability is at most X times that of the start, the uniform "
        f"policy (default {DEFAULT_TOLERANCE}; 0, which does all iterations, where a policy is "
        "trained)",
    )
    add(
        "--seed",
        type=count,
        default=0,
        metavar="N",
        help="for solvers that draw (default %(default)s)",
    )
    for flag, whose in (("--set", "game"), ("--solver-set", "solver")):
        add(
            flag,
            nargs="+",
            action="extend",
            default=[],
            type=setting,
            metavar="NAME=VALUE",
            help=f"parameters of the {whose}",
        )
    add(
        "--grid",
        nargs="+",
        action="extend",
        default=[],
        type=setting,
        metavar="NAME=VALUE",
        help="put a game on points on a grid, for solvers of tables: num_cells=60 num_actions=21, "
        "and low, high, action_low, action_high where the game has no bounds",
    )
    add("--out", metavar="DIR", help="run folder, new or empty (default runs/GAME-SOLVER-NUMBER)")
    add("--resume", action="store_true", help="go on with the run in --out DIR")
    add("--no-plots", action="store_true", help="draw no pictures")
    add("--json", action="store_true", help="the last line of standard output is one object")
    return parser


def _check(commands: Any) -> _Parser:
    text = "recompute the exploitability of a saved run from its files"
    return _saved(_add(commands, "check", "check", text))


def _plot(commands: Any) -> _Parser:
    return _saved(
        _add(commands, "plot", "plot", "draw the pictures of a saved run into its folder")
    )


def _simulate(commands: Any) -> _Parser:
    text = "play a saved solution among finitely many agents"
    parser = _saved(_add(commands, "simulate", "simulate", text))
    add = parser.add_argument
    add("--agents", type=positive, required=True, metavar="N", help="number of agents")
    add(
        "--seeds",
        type=positive,
        default=100,
        metavar="M",
        help="repetitions (default %(default)s)",
    )
    add(
        "--seed",
        type=count,
        default=0,
        metavar="N",
        help="of the random numbers (default %(default)s)",
    )
    add(
        "--out",
        metavar="DIR",
        help="folder for the animation of agents on points (default: the run folder)",
    )
    add("--no-plots", action="store_true", help="draw no animation")
    return parser


def _fit(commands: Any) -> _Parser:
    text = "fit a game to data: of an epidemic, its rates and how much contact people have"
    parser = _add(commands, "fit", "fit", text)
    add_fit_arguments(parser)
    return parser


def _datasets(commands: Any) -> _Parser:
    text = "tell of the real series: sources, licences, copies; or fetch one"
    parser = _add(commands, "datasets", "datasets", text)
    add = parser.add_argument
    add("action", nargs="?", metavar="fetch|NAME", help="download, or tell of this one alone")
    add("names", nargs="*", metavar="NAME", help="what to download")
    add(
        "--data",
        metavar="PATH",
        help="a folder of local copies (default: NASHFIELD_DATA, then the cache)",
    )
    add("--json", action="store_true", help="one line: a list of objects")
    return parser


def _paper(commands: Any) -> _Parser:
    text = "run a paper's experiments again and print its numbers beside ours"
    parser = _add(commands, "paper", "paper", text)
    add = parser.add_argument
    add("paper", metavar="NAME", help="one of " + ", ".join(sorted(PAPERS)))
    add("--quick", action="store_true", help="fewer seeds and shorter runs: done in minutes")
    add("--seed", type=count, default=0, metavar="N", help="of all random numbers")
    add("--out", metavar="DIR", help="folder for rows and pictures, new or empty")
    add("--json", action="store_true", help="the last line of standard output is one object")
    return parser


def _saved(parser: _Parser) -> _Parser:
    parser.add_argument("folder", metavar="DIR", help="the run folder")
    parser.add_argument(
        "--game",
        metavar="PATH.py:CLASS",
        help="the game that was solved, where its file has moved or changed since",
    )
    return parser
