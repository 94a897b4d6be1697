"""All pictures of a solution at once."""

from pathlib import Path

from nashfield.plotting.exploitability import plot_exploitability
from nashfield.plotting.flow import plot_flow
from nashfield.plotting.policy import plot_policy
from nashfield.solution import Solution


def save_pictures(solution: Solution, folder: str | Path) -> list[Path]:
    """Draws flow.png, policy.png and exploitability.png.

    Args:
        solution: what `solve` returned.
        folder: where to; made if it is not there. Pictures of the same name are replaced.

    Returns:
        The three paths.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {"flow": plot_flow, "policy": plot_policy, "exploitability": plot_exploitability}
    paths = []
    for name, draw in pictures.items():
        path = folder / f"{name}.png"
        draw(solution).figure.savefig(path, dpi=150)
        paths.append(path)
    return paths
