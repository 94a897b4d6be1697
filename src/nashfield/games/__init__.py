"""What is played: the protocols, their checks, and the zoo (`nf.games.BeachBar` and so on)."""

from typing import Any

from nashfield.registry import GAMES, find, suggest


def __getattr__(name: str) -> Any:
    for key, (_, attribute) in GAMES.items():
        if attribute == name:
            return find(GAMES, key, "game")
    hint = f"; {suggest(name, __dir__())}" if name[:1].isupper() else ""
    raise AttributeError(f"module 'nashfield.games' has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    return sorted(attribute for _, attribute in GAMES.values())
