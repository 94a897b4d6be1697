"""What a policy on points is: its protocol, affine policies, and pools of policies."""

from nashfield.controls.affine import Affine
from nashfield.controls.base import AbstractControl
from nashfield.controls.pool import Pool

__all__ = ["AbstractControl", "Affine", "Pool"]
