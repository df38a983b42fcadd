#!/usr/bin/env python3
"""Writes Tests/FoveaSafetensorsTests/Fixtures with the safetensors package (0.8.0 and torch 2.15.0 made the ones there).

    Tools/make-safetensors-fixtures.py [--check FILE]

With --check, reads a file that Fovea wrote from all-types.safetensors and compares every tensor.
"""

import argparse
import pathlib

import torch
from safetensors import safe_open
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "Tests/FoveaSafetensorsTests/Fixtures"
METADATA = {"format": 'pt "quoted" \\ \u0001 é\n'}


def all_types():
    """A matrix of every element type with its extremes, and names and shapes that want care."""
    floats = [0.0, -1.5, 65504.0, float("inf"), float("-inf"), 2.0**-14]
    tensors = {
        "bool": torch.tensor([[True, False, True], [False, True, True]]),
    }
    for name in ["float16", "bfloat16", "float32", "float64"]:
        tensors[name] = torch.tensor(floats, dtype=torch.float64).to(getattr(torch, name)).reshape(2, 3)
    for name in ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]:
        limits = torch.iinfo(getattr(torch, name))
        tensors[name] = torch.tensor([0, 1, 2, 3, limits.min, limits.max], dtype=getattr(torch, name)).reshape(2, 3)
    tensors["scalar"] = torch.tensor(7.25)
    tensors["empty"] = torch.zeros(0, 3)
    tensors["empty.int8"] = torch.zeros(2, 0, 5, dtype=torch.int8)
    tensors['odd "name" \\ \t\u001f é 日本 🎉 /'] = torch.tensor([1, 2, 3], dtype=torch.int8)
    tensors["Z"] = torch.tensor([4.0])
    tensors["a"] = torch.tensor([5.0])
    return tensors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", metavar="FILE")
    arguments = parser.parse_args()
    tensors = all_types()
    if arguments.check:
        with safe_open(arguments.check, "pt") as file:
            assert file.metadata() == METADATA, file.metadata()
            assert set(file.keys()) == set(tensors), file.keys()
            for name, tensor in tensors.items():
                found = file.get_tensor(name)
                assert found.dtype == tensor.dtype and found.shape == tensor.shape and torch.equal(found, tensor), name
        print(f"{arguments.check}: {len(tensors)} tensors are equal")
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    save_file(tensors, FOLDER / "all-types.safetensors", metadata=METADATA)
    save_file({}, FOLDER / "no-tensors.safetensors")


if __name__ == "__main__":
    main()
