"""Folders in Hugging Face layout out of GGUF files."""

from __future__ import annotations

import json
import pathlib

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize


class Source:
    """The tensors, widened, and the settings of a GGUF file."""

    def __init__(self, path: pathlib.Path):
        self.reader = GGUFReader(path)
        self.tensors = {tensor.name: tensor for tensor in self.reader.tensors}

    def setting(self, key: str):
        return self.reader.fields[key].contents()

    def values(self, name: str) -> np.ndarray:
        tensor = self.tensors[name]
        shape = [int(size) for size in reversed(tensor.shape)]
        return dequantize(tensor.data, tensor.tensor_type).astype(np.float32).reshape(shape)

    def layers(self, count: int, names: dict[str, str]) -> dict[str, np.ndarray]:
        """The tensors of all layers under Hugging Face's names; `names` leads from llama.cpp's to these."""
        return {f"model.layers.{layer}.{other}.weight": self.values(f"blk.{layer}.{own}.weight")
                for layer in range(count) for own, other in names.items()}


def unpermuted(rows: np.ndarray, head_count: int) -> np.ndarray:
    """The rows of a projection as Hugging Face has them; llama.cpp's conversion interleaves the halves of each head."""
    shape = (head_count, len(rows) // head_count // 2, 2, *rows.shape[1:])
    return rows.reshape(shape).swapaxes(1, 2).reshape(rows.shape)


def bfloat16(values: np.ndarray) -> np.ndarray:
    """The bits of values rounded to the nearest bfloat16, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def write_safetensors(path: pathlib.Path, tensors: dict[str, np.ndarray]) -> None:
    header: dict = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, values in tensors.items():
        header[name] = {"dtype": "BF16", "shape": list(values.shape), "data_offsets": [end, end + 2 * values.size]}
        end += 2 * values.size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for values in tensors.values():
            file.write(bfloat16(values).tobytes())


def write_json(path: pathlib.Path, value) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
