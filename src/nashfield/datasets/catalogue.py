"""Which series there are: where they come from, under which licence, and how they are known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nashfield.datasets import convert
from nashfield.datasets.table import Table
from nashfield.registry import suggest
from nashfield.results import NashfieldError

_MHLW = "https://covid19.mhlw.go.jp/public/opendata"
_FILES = {
    "new": "newly_confirmed_cases_daily.csv",
    "care": "requiring_inpatient_care_etc_daily.csv",
    "deaths": "deaths_cumulative_daily.csv",
}
_SCHOOL = "data/influenza_england_1978_school.csv"


@dataclass(frozen=True)
class Dataset:
    """One series.

    Attributes:
        name: what `load` takes.
        summary: what it is, in a line.
        file: its name in a folder of local copies, and in the cache.
        columns: what the series is made of; further columns of a local copy are left alone.
        span: first and last day.
        population: of the place, the number of persons.
        source: who publishes it.
        page: where it is described.
        licence: under which it may be used.
        attribution: the words that the licence asks for.
        mirrors: sets of addresses, tried in turn; every set gives the parts that `tidy` takes.
        tidy: makes the table of the parts, each the text of one address.
        sha256: of the canonical text of the values, see `convert.canonical`.
    """

    name: str
    summary: str
    file: str
    columns: tuple[str, ...]
    span: tuple[str, str]
    population: int
    source: str
    page: str
    licence: str
    attribution: str
    mirrors: tuple[Mapping[str, str], ...]
    tidy: Callable[[Mapping[str, str]], Table] = field(repr=False)
    sha256: str


DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="japan-national",
            summary="COVID-19 in Japan: confirmed by day, in care, discharged, dead; last vintage",
            file="japan_national_mhlw.csv",
            columns=("new_confirmed", "active_inpatient", "discharged_cum", "deaths_cum"),
            span=("2020-01-16", "2023-05-08"),
            population=126_146_099,
            source="Ministry of Health, Labour and Welfare (MHLW), open data",
            page="https://www.mhlw.go.jp/stf/covid-19/open-data.html",
            licence="Government of Japan Standard Terms of Use 2.0 (CC BY 4.0-compatible)",
            attribution="Source: MHLW open data, processed",
            mirrors=(
                {part: f"{_MHLW}/{file}" for part, file in _FILES.items()},
                # The ministry's server was an affair of the epidemic; the archive keeps its files.
                {
                    part: f"https://web.archive.org/web/20230509120000id_/{_MHLW}/{file}"
                    for part, file in _FILES.items()
                },
            ),
            tidy=convert.japan_national,
            sha256="448fbc0d35b985a47a767f1b9a195b97605244922b996cf4d7fb0a3680c3802e",
        ),
        Dataset(
            name="boarding-school",
            summary="Influenza among the 763 boys of an English boarding school, 1978",
            file="influenza_boarding_school_1978.csv",
            columns=("in_bed", "convalescent"),
            span=("1978-01-22", "1978-02-04"),
            population=763,
            source="British Medical Journal 1978;1:587, as in the R package outbreaks",
            page="https://github.com/reconverse/outbreaks",
            licence="MIT (R package outbreaks)",
            attribution="R package outbreaks, MIT",
            mirrors=(
                {
                    "school": "https://raw.githubusercontent.com/epirecipes/Outbreaks.jl/"
                    f"78a0aed19641be1acbdb3c647d777b996d63081b/{_SCHOOL}"
                },
                {
                    "school": "https://raw.githubusercontent.com/storopoli/Turing-Workshop/"
                    f"57e39645ea70e158b6a271d9ffe35e47e2e10c70/{_SCHOOL}"
                },
            ),
            tidy=convert.boarding_school,
            sha256="ce1e83217499aa53a083759f0770b349e015eca192c17e78827f19d52fa6e380",
        ),
    )
}


def find_dataset(name: str) -> Dataset:
    """The dataset of that name.

    Args:
        name: as in `nashfield datasets`.

    Raises:
        NashfieldError: there is none.
    """
    if name not in DATASETS:
        raise NashfieldError(f"unknown dataset {name!r}; {suggest(name, DATASETS)}")
    return DATASETS[name]
