"""How much of everything a reproduction takes."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of all experiments.

    Attributes:
        num_seeds: of the sound fits, data and all.
        num_shown: of them, for how many laws at other numbers of agents are drawn.
        curve: further numbers of training games.
        curve_seeds: fits for each of these.
        paired_seeds: of the earlier version's trainings of the meeting.
        bar_seeds: and of El Farol, which are quick and differ much.
        calibration_seeds: noises of the calibrations.
        num_samples: of a forecast.
    """

    num_seeds: int = 20
    num_shown: int = 5
    curve: tuple[int, ...] = (1, 3, 30, 100)
    curve_seeds: int = 5
    paired_seeds: int = 5
    bar_seeds: int = 100
    calibration_seeds: int = 5
    num_samples: int = 1000


QUICK = Sizes(3, 1, (), 1, 5, 100, 1, 500)
