"""What a solver is."""

import abc
from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import Bool, Float, PRNGKeyArray

from nashfield.dynamics import Sweep, sweep
from nashfield.games.base import FiniteGame, StationaryGame
from nashfield.policies import uniform_policy
from nashfield.typing import Array


class StepInfo(eqx.Module):
    """What a step learns about the policy that ENTERED it.

    Attributes:
        exploitability: of that policy, against its own flow.
        social_welfare: J(pi; mu^pi), what every agent gets if all play that policy.
        gradient_norm: length of the gradient that the solver follows; None where it follows none.
    """

    exploitability: Float[Array, "*K"]
    social_welfare: Float[Array, "*K"]
    gradient_norm: Float[Array, "*K"] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What is known."""
        return tuple(n for n in self.__dataclass_fields__ if getattr(self, n) is not None)

    def columns(self) -> dict[str, Float[Array, "*K"]]:
        """What is known, by name."""
        return {name: getattr(self, name) for name in self.names}

    @classmethod
    def of(cls, sweep: Sweep) -> "StepInfo":
        """Reads both numbers off a sweep."""
        return cls(sweep.exploitability, sweep.value)


class Outcome(eqx.Module):
    """A policy, its crowd, and what is known of both.

    Attributes:
        policy: a table, or a policy with parameters.
        flow: the population flow, or the stationary mean field.
        info: exploitability and the like.
        settled: whether a stationary mean field has come to rest; true with a horizon.
    """

    policy: Any
    flow: Any
    info: StepInfo
    settled: Bool[Array, ""]


class AbstractSolver(eqx.Module):
    """One algorithm: `init` once, `step` many times, `policy` at any time.

    All three are pure and are called inside jit. A state is any pytree of arrays whose shapes and
    dtypes `step` keeps. Numbers such as learning rates are array attributes (`typing.scalar`), so
    that changing them compiles nothing and vmap can run over them.

    Attributes:
        games: classes of games that it solves.
        starts_itself: whether it brings its own first policy, so that none can be given; it then
            has a method `first_policy(game, *, key)`.
        usual_iterations: how many the command does where nobody says; None leaves it to the
            command.
    """

    games: ClassVar[tuple[type, ...]] = (FiniteGame, StationaryGame)
    starts_itself: ClassVar[bool] = False
    usual_iterations: ClassVar[int | None] = None

    @abc.abstractmethod
    def init(self, game: Any, policy: Float[Array, "*T S A"], *, key: PRNGKeyArray) -> Any:
        """State before the first step; `self.policy` of it is the start, or close to it.

        Args:
            game: the game.
            policy: (T, S, A), or (S, A) for a stationary game: where to start.
            key: for solvers that draw.
        """

    def init_uniform(self, game: Any, *, key: PRNGKeyArray) -> Any:
        """State before the first step from the uniform policy, which need not be stored."""
        return self.init(game, uniform_policy(game), key=key)

    def most_iterations(self, game: Any) -> int | None:
        """How long a run on `game` can be; None where there is no limit."""
        return None

    def knows_exploitability(self, game: Any) -> bool:
        """Whether that of its iterates is known well enough on `game` to stop at a tolerance."""
        return True

    def check_iterations(self, game: Any, num_iterations: int) -> None:
        """Raises ParameterError where a run on `game` cannot be that long; no run is, unless said.

        Args:
            game: the game.
            num_iterations: at most so many steps.
        """

    @abc.abstractmethod
    def step(self, game: Any, state: Any, *, key: PRNGKeyArray) -> tuple[Any, StepInfo]:
        """One iteration.

        Args:
            game: the game.
            state: the present state.
            key: a fresh one for every step.

        Returns:
            The next state, and what is known of the policy of the present one.
        """

    @abc.abstractmethod
    def policy(self, game: Any, state: Any) -> Any:
        """The policy that `state` stands for."""

    def outcome(self, game: Any, state: Any, *, key: PRNGKeyArray) -> Outcome:
        """The policy of `state`, evaluated.

        Args:
            game: the game.
            state: the present state.
            key: for solvers that evaluate by samples.
        """
        policy = self.policy(game, state)
        swept = sweep(game, policy)
        return Outcome(policy, swept.flow, StepInfo.of(swept), swept.settled)
