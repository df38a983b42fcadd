"""The attention of Fovea, PyTorch and MLX behind one signature, on memory that all of them share.

The arrays are PyTorch's; Fovea reads them in place through DLPack, MLX gets copies made beforehand (it takes no
foreign memory on the CPU). A peer offers `prepare(problem)`, which gives a function without arguments that computes
once and returns when the result is there, and `result()` as a PyTorch tensor.
"""

import dataclasses
import pathlib
import sys
from typing import Callable

import mlx.core as mx
import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "c-api"))
import fovea  # noqa: E402


@dataclasses.dataclass
class Problem:
    """One call of the op: tensors [batch, heads, length, dimension], and None, "causal" or an array as mask."""

    queries: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    mask: str | torch.Tensor | None
    threads: int

    @property
    def scale(self) -> float:
        return self.queries.shape[-1] ** -0.5


def prepare_fovea(problem: Problem) -> tuple[Callable[[], None], Callable[[], torch.Tensor]]:
    """Fovea through its C API; the output array is made beforehand, as its API wants it."""
    output = torch.empty_like(problem.queries)
    run = fovea.prepare(problem.queries, problem.keys, problem.values, problem.scale, output, mask=problem.mask,
                        threads=problem.threads)
    return run, lambda: output


def prepare_torch(problem: Problem) -> tuple[Callable[[], None], Callable[[], torch.Tensor]]:
    """PyTorch's scaled_dot_product_attention, which chooses its kernel itself."""
    causal = isinstance(problem.mask, str)
    if causal and problem.queries.shape[2] != problem.keys.shape[2]:
        raise ValueError("PyTorch's causal mask is upper-left aligned: only as many queries as keys are comparable")
    mask = None if causal else problem.mask
    grouped = problem.queries.shape[1] != problem.keys.shape[1]
    results = []

    def run() -> None:
        with torch.inference_mode():
            results[:] = [torch.nn.functional.scaled_dot_product_attention(
                problem.queries, problem.keys, problem.values, attn_mask=mask, is_causal=causal, scale=problem.scale,
                enable_gqa=grouped)]

    return run, lambda: results[0]


def prepare_mlx(problem: Problem) -> tuple[Callable[[], None], Callable[[], torch.Tensor]]:
    """MLX's fast attention on the CPU, evaluated at once since MLX is lazy."""
    queries, keys, values = (_mlx_array(tensor) for tensor in (problem.queries, problem.keys, problem.values))
    mask = _mlx_array(problem.mask) if isinstance(problem.mask, torch.Tensor) else problem.mask
    results = []

    def run() -> None:
        results[:] = [mx.fast.scaled_dot_product_attention(queries, keys, values, scale=problem.scale, mask=mask)]
        mx.eval(results[0])

    return run, lambda: torch.from_numpy(np.array(results[0].astype(mx.float32)))


def _mlx_array(tensor: torch.Tensor) -> mx.array:
    types = {torch.float32: mx.float32, torch.bfloat16: mx.bfloat16, torch.float16: mx.float16, torch.bool: mx.bool_}
    # By way of float32, since NumPy has no bfloat16; exact for all of these types.
    array = mx.array(tensor.float().numpy()).astype(types[tensor.dtype])
    mx.eval(array)
    return array


PEERS = {"fovea": prepare_fovea, "torch": prepare_torch, "mlx": prepare_mlx}
