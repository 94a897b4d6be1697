"""The law by which an epidemic moves from day to day, and what is seen of it."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.neural.epidemics.compartments import growth, infect, recover
from nashfield.neural.epidemics.drift import Drift, features_of
from nashfield.neural.epidemics.kalman import root
from nashfield.neural.epidemics.settings import EpidemicSettings
from nashfield.typing import Array, ScalarLike

# Keeps the logarithm of nobody finite.
_NOBODY = 1e-30
# Shares below this are none: a logarithm needs something.
_LEAST = 1e-12
# The effects of the days of the week have the sum zero; the variance of that.
_WEEKDAYS_VARIANCE = 1e-3
# At least this share is not infected.
_FULL = 1e-6


class EpidemicState(eqx.Module):
    """An epidemic on one day. All but `trend` and `slow_trend` are logarithms.

    Attributes:
        transmission: of b, the rate of infection over the share of the infected, per day.
        trend: see `Drift`, per day.
        slow_trend: its mean over some weeks.
        gamma: of the rate of removal.
        susceptible: of their share.
        new: of the share that was infected on the day.
        reporting: of the share of active cases that is reported.
        weekdays: (7,) of the factors by which new cases are reported, Thursday first.
        infected: (K,) of the shares of the stages.
    """

    transmission: Float[Array, "*batch"]
    trend: Float[Array, "*batch"]
    slow_trend: Float[Array, "*batch"]
    gamma: Float[Array, "*batch"]
    susceptible: Float[Array, "*batch"]
    new: Float[Array, "*batch"]
    reporting: Float[Array, "*batch"]
    weekdays: Float[Array, "*batch 7"]
    infected: Float[Array, "*batch K"]

    @property
    def active(self) -> Float[Array, "*batch"]:
        """Logarithm of the share of the infected."""
        return jax.nn.logsumexp(self.infected, axis=-1)

    @property
    def number(self) -> Float[Array, "*batch"]:
        """Logarithm of R_t = b S / gamma: whom one ill person infects if nothing changes."""
        return self.transmission + self.susceptible - self.gamma


class EpidemicModel(eqx.Module):
    """An epidemic in continuous time, looked at once a day.

    S, I and R as in `compartments`; the rate of infection is b I = beta a I, with a the contact
    level; log b moves by `drift` and by chance. Chance enters through the rates alone.

    Attributes:
        settings: what is fixed.
        drift: of log b, prescribed or neural.
    """

    settings: EpidemicSettings
    drift: Drift

    @property
    def size(self) -> int:
        """Numbers of a state."""
        return 14 + self.settings.num_stages

    def pack(self, state: EpidemicState) -> Float[Array, "X"]:
        """A state as a vector."""
        return ravel_pytree(state)[0]

    def unpack(self, vector: Float[Array, "*batch X"]) -> EpidemicState:
        """A vector, or many, as a state."""
        parts = [vector[..., k] for k in range(7)]
        return EpidemicState(*parts, weekdays=vector[..., 7:14], infected=vector[..., 14:])

    def step(
        self, vector: Float[Array, "X"], inputs: Float[Array, "E"], chance: Array | float = 0.0
    ) -> Float[Array, "X"]:
        """The next day.

        Args:
            vector: a day.
            inputs: exogenous, of the day.
            chance: (X,) what is added to the numbers at the end of the day.
        """
        settings, drift = self.settings, self.drift
        now = self.unpack(vector)
        gamma, rate = jnp.exp(now.gamma), now.transmission
        susceptible, infected = jnp.exp(now.susceptible), jnp.exp(now.infected)
        features = features_of(now.trend, now.slow_trend, now.number, gamma)
        trend = now.trend * jnp.exp(-drift.reversion) + drift.push(features, inputs)
        h = 1 / settings.num_substeps

        def go_on(carry: tuple[Array, ...], _: None) -> tuple[tuple[Array, ...], None]:
            rate, susceptible, infected, new = carry
            grown = growth(susceptible, infected, jnp.exp(rate), gamma)
            middle = rate + h / 2 * (now.trend - drift.response * grown)
            infected = recover(infected, gamma, h / 2)
            susceptible, infected, more = infect(susceptible, infected, jnp.exp(middle), h)
            infected = recover(infected, gamma, h / 2)
            grown = growth(susceptible, infected, jnp.exp(middle), gamma)
            rate = rate + h * (now.trend - drift.response * grown)
            return (rate, susceptible, infected, new + more), None

        # Not unrolled: derivatives of it are compiled again and again.
        begin = rate, susceptible, infected, jnp.zeros((), vector.dtype)
        rate, susceptible, infected, new = jax.lax.scan(go_on, begin, length=settings.num_substeps)[
            0
        ]
        middle = jnp.log(settings.gamma)
        following = EpidemicState(
            transmission=rate,
            trend=trend,
            slow_trend=now.slow_trend + (now.trend - now.slow_trend) / settings.slow_days,
            gamma=middle + settings.gamma_memory * (now.gamma - middle),
            susceptible=jnp.log(susceptible + _NOBODY),
            new=jnp.log(new + _LEAST),
            reporting=settings.reporting_memory * now.reporting,
            weekdays=now.weekdays,
            infected=jnp.log(infected + _LEAST),
        )
        return self.pack(following) + chance

    def on_simplex(self, vector: Float[Array, "X"]) -> Float[Array, "X"]:
        """The nearest state in which the susceptible and the infected are not more than all."""
        now = self.unpack(vector)
        over = jnp.maximum(now.active - jnp.log1p(-_FULL), 0)
        infected = now.infected - over
        most = jnp.log1p(-jnp.sum(jnp.exp(infected)))
        susceptible = jnp.minimum(now.susceptible, most)
        kept = eqx.tree_at(lambda s: (s.susceptible, s.infected), now, (susceptible, infected))
        return self.pack(kept)

    def variances(self) -> Float[Array, "X"]:
        """Of what chance adds in a day."""
        s = self.settings
        scales = [s.transmission_noise, s.trend_noise, 0.0, s.gamma_noise, 0.0, 0.0]
        scales += [s.reporting_noise, *[s.weekday_noise] * 7, *[0.0] * s.num_stages]
        return jnp.stack([jnp.asarray(scale, jnp.result_type(float)) for scale in scales]) ** 2

    def look(self, vector: Float[Array, "X"], weekday: Int[Array, ""]) -> Float[Array, "3"]:
        """Logarithms of the shares of active and of new cases that are reported; a constraint.

        Args:
            vector: a day.
            weekday: 0 to 6, Thursday first.
        """
        now = self.unpack(vector)
        new = now.new + now.weekdays[weekday]
        return jnp.stack([now.active + now.reporting, new, jnp.sum(now.weekdays)])

    def seen(
        self, active: Float[Array, "D"], new: Float[Array, "D"], population: Float[Array, ""]
    ) -> tuple[Float[Array, "D 3"], Float[Array, "D 3"]]:
        """Counts as `look` sees them, and the variances of their errors.

        Args:
            active: cases, NaN where not counted.
            new: cases of the day, NaN where not counted.
            population: persons.
        """
        s = self.settings

        def one(counts: Array, error: Array) -> tuple[Array, Array]:
            logs = jnp.log(jnp.maximum(counts, 0.5) / population)
            return logs, self.error_variance(counts, error)

        logs, errors = zip(one(active, s.active_error), one(new, s.new_error), strict=True)
        rest = jnp.zeros_like(active)
        return jnp.stack([*logs, rest], 1), jnp.stack([*errors, rest + _WEEKDAYS_VARIANCE], 1)

    def error_variance(self, counts: Float[Array, "*n"], error: ScalarLike) -> Float[Array, "*n"]:
        """Variance of the logarithm of a count: its error, and the chance of small numbers.

        Args:
            counts: persons.
            error: standard deviation, `active_error` or `new_error`.
        """
        return error**2 + self.settings.dispersion / jnp.maximum(counts, 1)

    def first(
        self, active: Float[Array, "D"], new: Float[Array, "D"], population: Float[Array, ""]
    ) -> tuple[Float[Array, "X"], Float[Array, "X X"]]:
        """What is expected of the first day, and how sure that is.

        Args:
            active: see `seen`.
            new: see `seen`.
            population: persons.
        """
        s, dtype = self.settings, jnp.result_type(float)
        week = new[:7]
        there = jnp.isfinite(week)
        cases = jnp.sum(jnp.where(there, week, 0)) / jnp.maximum(jnp.sum(there), 1)
        cases = jnp.where(jnp.any(there), jnp.maximum(cases, 0.5), jnp.nan)
        counted = jnp.isfinite(active)
        ill = jnp.where(jnp.any(counted), active[jnp.argmax(counted)], cases / s.gamma)
        ill = jnp.maximum(ill, 1.0) / population
        guess = jnp.where(s.first_transmission > 0, s.first_transmission, s.gamma)
        rate = jnp.where(jnp.any(there), cases / population / ill, guess)
        shares = jnp.full(s.num_stages, 1 / s.num_stages, dtype)
        priors = jnp.full(s.num_stages, s.stage_prior, dtype)
        if s.first_in_stage_one:
            # The later stages are all but empty, and known to be.
            first = jnp.arange(s.num_stages) == 0
            shares, priors = jnp.where(first, 1.0, jnp.exp(-5.0)), jnp.where(first, priors, 0)
        # Somebody is left to be infected, whatever was counted.
        ill = jnp.minimum(ill, (1 - _FULL) / jnp.sum(shares))
        state = EpidemicState(
            transmission=jnp.log(rate),
            trend=jnp.zeros((), dtype),
            slow_trend=jnp.zeros((), dtype),
            gamma=jnp.log(jnp.asarray(s.gamma, dtype)),
            susceptible=jnp.log1p(-ill * jnp.sum(shares)),
            new=jnp.log(rate * ill),
            reporting=jnp.zeros((), dtype),
            weekdays=jnp.zeros(7, dtype),
            infected=jnp.log(ill * shares),
        )
        left = jnp.maximum(1 - s.reporting_memory**2, 1e-6)
        scales = [s.transmission_prior, s.trend_prior, 0.0, s.gamma_prior, 0.0, 0.0]
        scales += [s.reporting_noise / jnp.sqrt(left), *[s.weekday_prior] * 7]
        known = jnp.stack([jnp.asarray(scale, dtype) for scale in scales])
        return self.pack(state), jnp.diag(jnp.concatenate([known, priors]) ** 2)

    def path(
        self,
        vector: Float[Array, "X"],
        inputs: Float[Array, "H E"],
        chances: Float[Array, "H X"] | None = None,
    ) -> Float[Array, "H X"]:
        """The days that follow.

        Args:
            vector: a day.
            inputs: exogenous, from this day on.
            chances: what is added at the end of every day; nothing if None.
        """
        chances = jnp.zeros((len(inputs), self.size), vector.dtype) if chances is None else chances

        def advance(vector: Array, day: tuple[Array, Array]) -> tuple[Array, Array]:
            moved = self.step(vector, *day)
            return moved, moved

        return jax.lax.scan(advance, vector, (inputs, chances))[1]

    def samples(
        self,
        mean: Float[Array, "X"],
        covariance: Float[Array, "X X"],
        inputs: Float[Array, "H E"],
        *,
        num_samples: int,
        key: PRNGKeyArray,
    ) -> Float[Array, "N H X"]:
        """Days that may follow, doubt about the present included; all chance times `spread`.

        Args:
            mean: the expected present.
            covariance: of the present.
            inputs: exogenous, from this day on.
            num_samples: N.
            key: draws.
        """
        spread = self.settings.spread
        now, then = jax.random.split(key)
        scale = spread * root(covariance)
        starts = mean + jax.random.normal(now, (num_samples, self.size), mean.dtype) @ scale.T
        starts = jax.vmap(self.on_simplex)(starts)
        shape = (num_samples, len(inputs), self.size)
        chances = jax.random.normal(then, shape, mean.dtype) * jnp.sqrt(self.variances()) * spread
        return jax.vmap(lambda start, chance: self.path(start, inputs, chance))(starts, chances)
