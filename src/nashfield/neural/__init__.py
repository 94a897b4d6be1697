"""Games learnt from data."""

from nashfield.neural.calibration import Calibration, calibrate

__all__ = ["Calibration", "calibrate"]
