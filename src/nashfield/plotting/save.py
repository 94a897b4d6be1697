"""All pictures of a solution at once."""

from pathlib import Path

from nashfield.mean_fields import AbstractFlow, FiniteFlow
from nashfield.plotting.canvas import Axes, new_axes
from nashfield.plotting.errors import has_errors, plot_errors
from nashfield.plotting.flow import plot_flow
from nashfield.plotting.history import plot_exploitability, plot_history
from nashfield.plotting.mean_field import plot_mean_field
from nashfield.plotting.policy import plot_policy
from nashfield.solution import Solution


def save_pictures(solution: Solution, folder: str | Path) -> list[Path]:
    """Draws flow.png, policy.png and exploitability.png, and errors.png where they are known.

    Of a stationary game: mean_field.png, policy.png and history.png.

    Args:
        solution: what `solve` returned.
        folder: where to; made if it is not there. Pictures of the same name are replaced.

    Returns:
        Their paths.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {"flow": plot_flow, "policy": plot_policy, "exploitability": plot_exploitability}
    if not isinstance(solution.flow, FiniteFlow | AbstractFlow):
        pictures = {"mean_field": plot_mean_field, "policy": plot_policy, "history": _all_histories}
    if has_errors(solution):
        pictures["errors"] = plot_errors
    paths = []
    for name, draw in pictures.items():
        path = folder / f"{name}.png"
        draw(solution).figure.savefig(path, dpi=150)
        paths.append(path)
    return paths


def _all_histories(solution: Solution) -> Axes:
    """Everything that is known of every iterate, one above the other."""
    names = list(solution.history)
    frame = new_axes(None, 6.4, 1.0 + 2.2 * len(names))
    figure = frame.figure
    figure.delaxes(frame)
    panels = figure.subplots(len(names), 1, sharex=True)
    for number, (name, panel) in enumerate(zip(names, panels, strict=True)):
        plot_history(solution, name, ax=panel)
        if number:
            panel.set_title("")
        if number < len(names) - 1:
            panel.set_xlabel("")
    return panels[0]
