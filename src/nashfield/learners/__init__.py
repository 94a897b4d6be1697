"""How one agent learns against a frozen crowd: what it can reach, and gradients of what it gets."""

from nashfield.learners.base import AbstractLearner
from nashfield.learners.cloning import Buffer, Cloned, Cloning
from nashfield.learners.critic import (
    AbstractBaseline,
    AbstractCritic,
    BatchMean,
    ExactCritic,
    LeastSquaresCritic,
)
from nashfield.learners.crowds import AbstractCrowd, ExactCrowd, PlayedCrowd
from nashfield.learners.dynamic_programming import best_response, greedy, optimal_values
from nashfield.learners.environment import Environment
from nashfield.learners.faults import Fault
from nashfield.learners.gradients import AbstractGradient, ExactGradient
from nashfield.learners.perturbation import SimultaneousPerturbation
from nashfield.learners.ppo import PPO
from nashfield.learners.reinforce import Reinforce
from nashfield.learners.response import Response
from nashfield.learners.sac import SAC

__all__ = [
    "PPO",
    "SAC",
    "AbstractBaseline",
    "AbstractCritic",
    "AbstractCrowd",
    "AbstractGradient",
    "AbstractLearner",
    "BatchMean",
    "Buffer",
    "Cloned",
    "Cloning",
    "Environment",
    "ExactCritic",
    "ExactCrowd",
    "ExactGradient",
    "Fault",
    "LeastSquaresCritic",
    "PlayedCrowd",
    "Reinforce",
    "Response",
    "SimultaneousPerturbation",
    "best_response",
    "greedy",
    "optimal_values",
]
