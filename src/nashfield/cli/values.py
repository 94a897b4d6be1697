"""Values on a command line, and what to say of those that are none."""

import argparse
import math


def count(text: str) -> int:
    """A whole number of at least 0."""
    return _integer(text, 0)


def positive(text: str) -> int:
    """A whole number of at least 1."""
    return _integer(text, 1)


def _integer(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least or number >= 1 << 63:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least {least}")
    return number


def tolerance(text: str) -> float:
    """A number of at least 0."""
    number = _finite(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0")
    return number


def rate(text: str) -> float:
    """A positive number."""
    number = _finite(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return number


def _finite(text: str) -> float:
    """The number; -1 for what is none."""
    try:
        number = float(text)
    except ValueError:
        return -1.0
    return number if math.isfinite(number) else -1.0


def setting(text: str) -> tuple[str, str]:
    """NAME=VALUE as a pair."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, value
