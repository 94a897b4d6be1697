"""What is fixed before an epidemic is fitted: scales of chance and error, priors, sizes."""

import dataclasses

import equinox as eqx

from nashfield.checks import check_number, check_size
from nashfield.neural.epidemics.drift import Drift, PrescribedDrift
from nashfield.results import ParameterError
from nashfield.typing import Scalar, scalar

DRIFTS = ("neural", "prescribed", "none")


class EpidemicSettings(eqx.Module):
    """What a fit takes for given. All scales are standard deviations of logarithms.

    The numbers that are set here were chosen by forecasts of Japan's active cases from weekly
    origins of June to November 2020, on a small grid; `spread` by the share of counts within their
    bands. Of settings of the network that came out even there, those were kept that let it say most
    within the tightest bound.

    Attributes:
        gamma: recovery, per day; what the rate of removal returns to.
        gamma_prior: of the rate of removal on the first day.
        gamma_noise: what a day adds to it. Only an observed inflow makes it visible.
        gamma_memory: what a day leaves of its distance from `gamma`.
        first_transmission: rate of transmission on the first day, per day, where there are no new
            cases to tell; `gamma` (a reproduction number of one) if zero.
        transmission_prior: of the rate of transmission on the first day.
        transmission_noise: what a day adds to it: the diffusion.
        trend_prior: of the trend on the first day, per day.
        trend_noise: what a day adds to the trend, per day: its diffusion.
        stage_prior: of the number in each stage of the illness on the first day.
        drift: the prescribed one.
        reporting_noise: what a day adds to the share of active cases that is reported.
        reporting_memory: what a day leaves of it.
        weekday_prior: of the effect of a day of the week on new cases, at first.
        weekday_noise: what a day adds to it.
        active_error: error of active cases.
        new_error: error of new cases.
        dispersion: variance of a count over its mean, beside these errors: 1 is Poisson's.
        slow_days: over which the slow trend, a feature of the neural drift, is a mean.
        amplitude: most that a network adds to the trend in a day, per day.
        penalty: weight of the prior of a network, against the sum over days of forecast errors.
        learning_rate: of a network.
        spread: what forecasts multiply all chance and doubt by.
        first_in_stage_one: whether all ill of the first day are in the first stage; else in equal
            parts in all.
        width: of a network.
        num_training: steps of the training of a network.
        training_days: horizon of the forecasts that a network is trained on.
        training_stride: days between these forecasts.
        num_stages: K, of the illness.
        num_substeps: of a day.
        num_iterations: passes of the smoother after the first; the last half goes only half the way
            to the new path.
    """

    gamma: Scalar = eqx.field(converter=scalar, default=0.1)
    gamma_prior: Scalar = eqx.field(converter=scalar, default=0.025)
    gamma_noise: Scalar = eqx.field(converter=scalar, default=0.005)
    gamma_memory: Scalar = eqx.field(converter=scalar, default=0.98)
    first_transmission: Scalar = eqx.field(converter=scalar, default=0.0)
    transmission_prior: Scalar = eqx.field(converter=scalar, default=1.0)
    transmission_noise: Scalar = eqx.field(converter=scalar, default=0.03)
    trend_prior: Scalar = eqx.field(converter=scalar, default=0.1)
    trend_noise: Scalar = eqx.field(converter=scalar, default=0.01)
    stage_prior: Scalar = eqx.field(converter=scalar, default=0.7)
    drift: Drift = PrescribedDrift()
    reporting_noise: Scalar = eqx.field(converter=scalar, default=0.01)
    reporting_memory: Scalar = eqx.field(converter=scalar, default=0.9)
    weekday_prior: Scalar = eqx.field(converter=scalar, default=0.3)
    weekday_noise: Scalar = eqx.field(converter=scalar, default=0.006)
    active_error: Scalar = eqx.field(converter=scalar, default=0.02)
    new_error: Scalar = eqx.field(converter=scalar, default=0.04)
    dispersion: Scalar = eqx.field(converter=scalar, default=1.0)
    slow_days: Scalar = eqx.field(converter=scalar, default=21.0)
    amplitude: Scalar = eqx.field(converter=scalar, default=0.003)
    penalty: Scalar = eqx.field(converter=scalar, default=0.3)
    learning_rate: Scalar = eqx.field(converter=scalar, default=0.05)
    spread: Scalar = eqx.field(converter=scalar, default=1.5)
    first_in_stage_one: bool = False
    width: int = 8
    num_training: int = 100
    training_days: int = 14
    training_stride: int = 3
    num_stages: int = 3
    num_substeps: int = 4
    num_iterations: int = 2

    def __check_init__(self):
        for name in ("gamma", "slow_days", "amplitude", "learning_rate", "active_error"):
            check_number(name, getattr(self, name), above=0.0)
        for name in (
            "gamma_prior",
            "gamma_noise",
            "first_transmission",
            "transmission_prior",
            "transmission_noise",
            "trend_prior",
            "trend_noise",
            "stage_prior",
            "reporting_noise",
            "weekday_prior",
            "weekday_noise",
            "new_error",
            "dispersion",
            "penalty",
            "spread",
        ):
            check_number(name, getattr(self, name), least=0.0)
        check_number("gamma_memory", self.gamma_memory, 0.0, 1.0)
        check_number("reporting_memory", self.reporting_memory, 0.0, 1.0)
        for name in ("width", "num_training", "training_days", "training_stride", "num_stages"):
            check_size(name, getattr(self, name))
        check_size("num_substeps", self.num_substeps)
        check_size("num_iterations", self.num_iterations, least=0)


def outbreak() -> EpidemicSettings:
    """For one outbreak in a closed place, of some weeks, where all who are ill are seen.

    Transmission moves freely, without a trend; an illness lasts two days on average (give another
    gamma), known to a tenth, in four stages. Chosen on the influenza in a boarding school of 1978.
    """
    return EpidemicSettings(
        gamma=0.5,
        gamma_prior=0.1,
        gamma_noise=0.0,
        gamma_memory=1.0,
        first_transmission=1.7,
        transmission_prior=0.2,
        transmission_noise=0.4,
        trend_prior=0.0,
        trend_noise=0.0,
        stage_prior=1.0,
        drift=PrescribedDrift(reversion=0.0, response=0.0),
        reporting_noise=0.0,
        dispersion=3.0,
        training_days=3,
        training_stride=1,
        first_in_stage_one=True,
        num_stages=4,
        num_substeps=8,
        num_iterations=60,
    )


def constant(settings: EpidemicSettings) -> EpidemicSettings:
    """The classical SIR: rates that never change, found from the whole series.

    Args:
        settings: give priors of the first day, sizes, and errors of the counts.
    """
    return dataclasses.replace(
        settings,
        gamma_noise=0.0,
        gamma_memory=1.0,
        transmission_noise=0.0,
        trend_prior=0.0,
        trend_noise=0.0,
        reporting_noise=0.0,
        drift=PrescribedDrift(reversion=0.0, response=0.0),
    )


def rung(settings: EpidemicSettings, drift: str) -> tuple[EpidemicSettings, bool]:
    """Settings of a rung, and whether it has a network.

    Raises:
        ParameterError: there is no such rung.
    """
    if drift not in DRIFTS:
        raise ParameterError(f"drift must be one of {', '.join(DRIFTS)}, not {drift!r}")
    return (constant(settings) if drift == "none" else settings), drift == "neural"
