"""Files of packages on PyPI: downloads that go on where they stopped, checked by their SHA-256 sums."""

from __future__ import annotations

import hashlib
import json
import pathlib
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

INDEX = "https://pypi.org/pypi"
SIMPLE = "https://pypi.org/simple"
CHUNK = 1 << 20


class FetchError(Exception):
    """What went wrong, in one line."""


def wheel(name: str, version: str, folder: pathlib.Path) -> pathlib.Path:
    """The package's wheel in `folder`, fetched if it is not there yet."""
    return distribution(name, version, f"-{version}-py3-none-any.whl", folder)


def distribution(name: str, version: str, ending: str, folder: pathlib.Path) -> pathlib.Path:
    """The package's file whose name ends so in `folder`, fetched if it is not there yet."""
    try:
        with urllib.request.urlopen(f"{INDEX}/{name}/json", timeout=60) as answer:
            found = json.load(answer)
        files = found["releases"].get(version) or found["urls"]
    except (OSError, ValueError, KeyError) as error:
        raise FetchError(f"PyPI does not tell about {name} {version}: {error}") from error
    entry = next((entry for entry in files if entry["filename"].endswith(ending)), None)
    if entry is None:
        raise FetchError(f"{name} {version} has no file …{ending} on PyPI")
    target = folder / entry["filename"]
    if target.exists() and checksum(target) == entry["digests"]["sha256"]:
        return target
    part = target.with_name(target.name + ".part")
    # Mirrors may give addresses relative to the simple index.
    download(urllib.parse.urljoin(f"{SIMPLE}/{name}/", entry["url"]), part, entry["size"], entry["filename"])
    if checksum(part) != entry["digests"]["sha256"]:
        part.unlink()
        raise FetchError(f"{entry['filename']}: the SHA-256 sum is not PyPI's; the download was thrown away")
    part.rename(target)
    return target


def checksum(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(url: str, part: pathlib.Path, size: int, label: str) -> None:
    """Appends to `part` what is missing; three tries."""
    for attempt in range(3):
        done = part.stat().st_size if part.exists() else 0
        if done >= size:
            return
        try:
            request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"})
            with urllib.request.urlopen(request, timeout=60) as answer, part.open("ab") as file:
                if done and answer.status != 206:
                    file.truncate(0)
                    done = 0
                while chunk := answer.read(CHUNK):
                    file.write(chunk)
                    done += len(chunk)
                    progress(label, done, size)
        except (OSError, urllib.error.URLError) as error:
            if attempt == 2:
                raise FetchError(f"{label}: {error}; run the command again to go on at byte {done}") from error
            time.sleep(1)


def progress(label: str, done: int, size: int) -> None:
    if not sys.stderr.isatty():
        return
    filled = 24 * done // max(size, 1)
    print(f"\r\033[K{'█' * filled}{'░' * (24 - filled)} {done >> 20}/{size >> 20} MiB  {label}", end="", file=sys.stderr)
    if done >= size:
        print("\r\033[K", end="", file=sys.stderr)
