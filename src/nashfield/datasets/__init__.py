"""Real series: source, licence, checksum, cache, local path."""

from nashfield.datasets.cache import cache_folder, data_folder, fetch, load, local_path
from nashfield.datasets.catalogue import DATASETS, Dataset, find_dataset
from nashfield.datasets.table import DataError, Table, read_table

__all__ = [
    "DATASETS",
    "DataError",
    "Dataset",
    "Table",
    "cache_folder",
    "data_folder",
    "fetch",
    "find_dataset",
    "load",
    "local_path",
    "read_table",
]
