"""`nashfield datasets`: the series that the library knows, and how to have them here."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from nashfield.cli.parser import UsageError


def main(args: argparse.Namespace) -> int:
    """Lists the datasets, tells of one, or fetches some."""
    from nashfield.datasets import DATASETS, fetch, find_dataset

    if args.action == "fetch":
        if not args.names:
            raise UsageError(f"datasets fetch needs a name: {', '.join(sorted(DATASETS))}")
        for name in args.names:
            print(fetch(name, tell=lambda line: print(line, file=sys.stderr, flush=True)))
        return 0
    _tell_of_no_folder(args.data)
    names = [args.action, *args.names] if args.action else sorted(DATASETS)
    entries = [_entry(find_dataset(name), args.data) for name in names]
    if args.json:
        print(json.dumps(entries))
        return 0
    print("\n\n".join(map(_page, entries)))
    return 0


def _tell_of_no_folder(data: str | None) -> None:
    """A folder that is not there holds no copies: easily overlooked."""
    from nashfield.datasets.cache import data_folder

    folder = Path(data).expanduser() if data is not None else data_folder()
    if folder is not None and not folder.is_dir():
        origin = "NASHFIELD_DATA" if data is None else "--data"
        print(f"nashfield: warning: {origin}: there is no folder {folder}", file=sys.stderr)


def _entry(dataset: Any, data: str | None) -> dict[str, Any]:
    """What is known of a dataset, and where its copy lies."""
    from nashfield.datasets import DataError, cache_folder, load, local_path

    path, state = local_path(dataset.name, data), "not here"
    if path is not None:
        try:
            load(dataset.name, data=data)
            state = "checksum good"
        except DataError as error:
            state = str(error)
    return {
        "name": dataset.name,
        "summary": dataset.summary,
        "columns": list(dataset.columns),
        "first_day": dataset.span[0],
        "last_day": dataset.span[1],
        "population": dataset.population,
        "source": dataset.source,
        "page": dataset.page,
        "licence": dataset.licence,
        "attribution": dataset.attribution,
        "addresses": [list(mirror.values()) for mirror in dataset.mirrors],
        "file": dataset.file,
        "path": None if path is None else str(path),
        "cache": str(cache_folder() / dataset.file),
        "state": state,
    }


def _page(entry: dict[str, Any]) -> str:
    copy = f"none: `nashfield datasets fetch {entry['name']}` puts one at {entry['cache']}"
    if entry["path"] is not None:
        copy = f"{entry['path']} ({entry['state']})"
    rows = {
        "days": f"{entry['first_day']} to {entry['last_day']}, population {entry['population']}",
        "columns": ", ".join(entry["columns"]),
        "source": f"{entry['source']}, {entry['page']}",
        "licence": entry["licence"],
        "cite as": entry["attribution"],
        "copy here": copy,
    }
    lines = [f"{entry['name']}: {entry['summary']}"]
    return "\n".join(lines + [f"  {label:10} {text}" for label, text in rows.items()])
