"""docs/architecture.md is true: its rooms exist, all of them are there, imports point down."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/nashfield"
TREE = (ROOT / "docs/architecture.md").read_text()
ROOMS = re.findall(r"^      ([a-z_]+)(?:/|\.py) ", TREE, re.M)


def imports(path: Path) -> set[str]:
    """Rooms that a file imports from, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "nashfield":
            found |= {alias.name for alias in node.names if alias.name in ROOMS}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nashfield."):
            found.add((node.module or "").split(".")[1])
    return found


def test_the_tree_shows_every_room():
    there = {path.stem for path in SOURCE.iterdir() if not path.stem.startswith("__")}
    assert set(ROOMS) == there


def test_imports_point_down():
    wrong = []
    for path in SOURCE.rglob("*.py"):
        room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        if room in ROOMS:
            above = ROOMS[: ROOMS.index(room)]
            wrong += [f"{path.relative_to(SOURCE)} imports {r}" for r in imports(path) & set(above)]
    assert not wrong
