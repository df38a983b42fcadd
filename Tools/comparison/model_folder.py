"""Where a model given on the command line lies."""

import os
import pathlib


def model_folder(name: str) -> pathlib.Path:
    """A folder, or what Tools/fetch-model made of a name that it knows."""
    cache = os.environ.get("FOVEA_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "fovea")
    fetched = pathlib.Path(cache, "models", name)
    return fetched if not os.path.exists(name) and fetched.is_dir() else pathlib.Path(name)
