"""Where copies are kept, and how they get there: nothing broken is ever left behind."""

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from nashfield.datasets.catalogue import Dataset, find_dataset
from nashfield.datasets.convert import canonical
from nashfield.datasets.table import DataError, Table, decode, read_table

_SECONDS, _MOST_BYTES, _CHUNK = 30.0, 64 << 20, 1 << 16

Tell = Callable[[str], None]


def data_folder() -> Path | None:
    """The folder of local copies that NASHFIELD_DATA names; None without it."""
    chosen = os.environ.get("NASHFIELD_DATA")
    return Path(chosen).expanduser() if chosen else None


def cache_folder() -> Path:
    """Where downloads are kept: below NASHFIELD_CACHE, or where the system keeps such files.

    That is ~/Library/Caches on macOS, LOCALAPPDATA on Windows, and XDG_CACHE_HOME or ~/.cache
    elsewhere.
    """
    chosen = os.environ.get("NASHFIELD_CACHE")
    if chosen:
        return Path(chosen).expanduser() / "datasets"
    if sys.platform == "darwin":
        home = "~/Library/Caches"
    elif sys.platform == "win32":
        home = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    else:
        home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "nashfield" / "datasets"


def local_path(name: str, data: str | Path | None = None) -> Path | None:
    """Where a copy of a dataset lies; None where there is none.

    Args:
        name: of the dataset.
        data: a folder of local copies; NASHFIELD_DATA if None. The cache comes last.
    """
    dataset = find_dataset(name)
    folders = [Path(data).expanduser() if data is not None else data_folder(), cache_folder()]
    paths = [folder / dataset.file for folder in folders if folder is not None]
    return next((path for path in paths if path.is_file()), None)


def load(name: str, *, data: str | Path | None = None) -> Table:
    """The series of that name, from a local copy or from the cache; nothing is downloaded.

    Args:
        name: as in `nashfield datasets`.
        data: a folder of local copies; NASHFIELD_DATA if None.

    Raises:
        DataError: there is no copy, or its values are not those of the series.
        NashfieldError: there is no such dataset.
    """
    dataset = find_dataset(name)
    path = local_path(name, data)
    if path is None:
        raise DataError(
            f"no copy of {name} is here: `nashfield datasets fetch {name}` downloads it, or set "
            f"NASHFIELD_DATA to a folder that holds {dataset.file}"
        )
    table = read_table(path)
    found = _digest(table, dataset)
    if found != dataset.sha256:
        raise DataError(
            f"{path}: not the series {name}, its values differ (checksum {found[:12]}, expected "
            f"{dataset.sha256[:12]}): another vintage, or damaged; remove and fetch it again, or "
            "give your own file by its path"
        )
    return table


def fetch(name: str, *, tell: Tell | None = None) -> Path:
    """Downloads a dataset into the cache, unless a good copy is there.

    The values are made tidy and their checksum is compared before anything is written; the file
    appears in one stroke.

    Args:
        name: as in `nashfield datasets`.
        tell: is told every address that is tried, and why one failed.

    Returns:
        The file in the cache.

    Raises:
        DataError: no address gave the series; the message says why for each set.
        NashfieldError: there is no such dataset.
    """
    dataset = find_dataset(name)
    path = cache_folder() / dataset.file
    tell = tell or (lambda line: None)
    with contextlib.suppress(DataError):
        if path.is_file() and _digest(read_table(path), dataset) == dataset.sha256:
            return path
    reasons = []
    for addresses in dataset.mirrors:
        try:
            text = _tidy_text(dataset, addresses, tell)
        except DataError as error:
            tell(f"failed: {error}")
            reasons.append(str(error))
            continue
        write_whole(path, text.encode())
        return path
    raise DataError(
        f"{name} could not be downloaded: {'; '.join(reasons)}. With a copy of your own, set "
        f"NASHFIELD_DATA to the folder that holds {dataset.file} (see {dataset.page})"
    )


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file in one stroke: a reader sees the old one or the new one, never a part.

    Args:
        path: the file; its folder is made.
        data: its bytes.

    Raises:
        DataError: it cannot be written.
    """
    # A name of its own, for two programs may fetch the same file at once.
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _tidy_text(dataset: Dataset, addresses: Mapping[str, str], tell: Tell) -> str:
    parts = {}
    for part, address in addresses.items():
        tell(f"fetching {address}")
        parts[part] = decode(_download(address), _short(address))
    table = dataset.tidy(parts)
    found = _digest(table, dataset)
    if found != dataset.sha256:
        raise DataError(
            f"{_short(next(iter(addresses.values())))}: the values differ from the series that is "
            f"known (checksum {found[:12]}, expected {dataset.sha256[:12]}): another vintage"
        )
    return canonical(table, dataset.columns)


def _download(address: str) -> bytes:
    """The bytes behind an address, all of them or none."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    name, data = _short(address), bytearray()
    request = Request(address, headers={"User-Agent": "nashfield"})
    try:
        with urlopen(request, timeout=_SECONDS) as response:
            length = response.headers.get("Content-Length")
            while chunk := response.read(_CHUNK):
                data += chunk
                if len(data) > _MOST_BYTES:
                    raise DataError(f"{name}: more than {_MOST_BYTES >> 20} MiB")
    except HTTPError as error:
        raise DataError(f"{name}: HTTP {error.code} {error.reason}") from error
    except URLError as error:
        raise DataError(f"{name}: no answer ({error.reason})") from error
    except (OSError, HTTPException) as error:
        raise DataError(f"{name}: the download broke off ({error})") from error
    if length is not None and len(data) < int(length):
        raise DataError(f"{name}: the download broke off at {len(data)} of {length} bytes")
    return bytes(data)


def _short(address: str) -> str:
    """Host and file of an address."""
    from urllib.parse import urlsplit

    parts = urlsplit(address)
    return f"{parts.netloc}, {Path(parts.path).name}"


def _digest(table: Table, dataset: Dataset) -> str:
    text = canonical(table, dataset.columns)
    return hashlib.sha256(text.encode()).hexdigest()
