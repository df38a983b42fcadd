#!/usr/bin/env python3
"""Calls Fovea's attention op on NumPy, PyTorch and MLX arrays and checks the results against NumPy in float64."""

import importlib.util

import fovea
import numpy as np

SHAPES = {"queries": (2, 6, 9, 32), "keys": (2, 2, 21, 32), "values": (2, 2, 21, 32)}


def reference(q: np.ndarray, k: np.ndarray, v: np.ndarray, scale: float) -> np.ndarray:
    """Causal attention, lower-right aligned, in double precision."""
    q, k, v = (array.astype(np.float64) for array in (q, k, v))
    group = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
    scores = scale * q @ k.swapaxes(2, 3)
    rows, columns = scores.shape[2:]
    visible = np.arange(columns)[None] <= np.arange(rows)[:, None] + columns - rows
    scores = np.where(visible, scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


def check(name: str, result: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    """Prints the largest error, or ends the program."""
    error = float(np.max(np.abs(result.astype(np.float64) - expected) / (1 + np.abs(expected))))
    if not error <= tolerance:
        raise SystemExit(f"{name}: error {error:.2e}, expected at most {tolerance:.0e}")
    print(f"{name}: error {error:.1e}")


def main() -> None:
    """Runs the op on every library that is installed."""
    random = np.random.default_rng(1)
    arrays = {name: random.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
    q, k, v = arrays.values()
    expected = reference(q, k, v, 0.2)
    for type_name, tolerance in (("float32", 1e-5), ("float16", 3e-3), ("float64", 1e-6)):
        inputs = [array.astype(type_name) for array in (q, k, v)]
        output = np.empty((2, 6, 9, 32), type_name)
        check(f"numpy {type_name}", fovea.attention(*inputs, 0.2, output, mask="causal"), expected, tolerance)

    if importlib.util.find_spec("torch"):
        import torch

        for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 2e-2), (torch.float16, 3e-3)):
            inputs = [torch.from_numpy(array).to(dtype) for array in (q, k, v)]
            output = torch.empty((2, 6, 9, 32), dtype=dtype)
            fovea.attention(*inputs, 0.2, output, mask="causal")
            check(f"torch {dtype}", output.float().numpy(), expected, tolerance)
    else:
        print("torch is not installed: left out")

    if importlib.util.find_spec("mlx"):
        import mlx.core as mx

        for dtype, tolerance in ((mx.float32, 1e-5), (mx.bfloat16, 2e-2), (mx.float16, 3e-3)):
            inputs = [mx.array(array).astype(dtype) for array in (q, k, v)]
            output = mx.zeros((2, 6, 9, 32), dtype)
            mx.eval(*inputs, output)
            fovea.attention(*inputs, 0.2, output, mask="causal")
            check(f"mlx {dtype}", np.array(output.astype(mx.float32)), expected, tolerance)
    else:
        print("mlx is not installed: left out")

    try:
        fovea.attention(q, k[..., :16], v, 0.2, np.empty((2, 6, 9, 32), np.float32))
    except ValueError as error:
        print(f"an error reads: {error}")


if __name__ == "__main__":
    main()
