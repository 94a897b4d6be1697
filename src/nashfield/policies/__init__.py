"""How one agent acts."""

from nashfield.controls import AbstractControl, Affine, Pool
from nashfield.policies.gaussian_network import GaussianNetwork
from nashfield.policies.grid_control import GridActions, GridControl
from nashfield.policies.mixture import occupation_mixture
from nashfield.policies.mixture_network import MixtureNetwork
from nashfield.policies.parametric import AbstractPolicy, check_differentiable, check_parameters
from nashfield.policies.softmax import Gibbs, Neural
from nashfield.policies.tabular import (
    as_table,
    check_policy,
    policy_shape,
    random_policy,
    uniform_policy,
)
from nashfield.policies.threshold import SoftThreshold, Threshold

__all__ = [
    "AbstractControl",
    "AbstractPolicy",
    "Affine",
    "GaussianNetwork",
    "Gibbs",
    "GridActions",
    "GridControl",
    "MixtureNetwork",
    "Neural",
    "Pool",
    "SoftThreshold",
    "Threshold",
    "as_table",
    "check_differentiable",
    "check_parameters",
    "check_policy",
    "occupation_mixture",
    "policy_shape",
    "random_policy",
    "uniform_policy",
]
