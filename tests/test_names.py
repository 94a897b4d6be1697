"""Misspelt names: the message offers the nearest one."""

import pytest

import nashfield as nf


@pytest.mark.parametrize(
    ("package", "name", "message"),
    [
        (nf, "MalwareSpred", "'MalwareSpred'; did you mean nashfield.games.MalwareSpread?"),
        (nf, "LocalEquilibrum", "did you mean nashfield.LocalEquilibrium?"),
        (nf, "SoftTreshold", "did you mean nashfield.policies.SoftThreshold?"),
        (nf, "price_of_anarch", "did you mean nashfield.price_of_anarchy?"),
        (nf, "qqqq", "has no attribute 'qqqq'$"),
        (nf, "__qqqq__", "has no attribute '__qqqq__'$"),
        (nf.games, "MalwarSpread", "did you mean 'MalwareSpread' or"),
        (nf.games, "Qqqq", "known are: BeachBar, BeachBarLine"),
        (nf.games, "qqqq", "has no attribute 'qqqq'$"),
        (nf.solvers, "FictitousPlay", "did you mean 'FictitiousPlay' or"),
        (nf.solvers, "qqqq", "has no attribute 'qqqq'$"),
    ],
)
def test_nearest_names(package, name, message):
    with pytest.raises(AttributeError, match=message.replace("?", r"\?")):
        getattr(package, name)
