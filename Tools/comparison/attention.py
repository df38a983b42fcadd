"""Times the attention op of Fovea, PyTorch and MLX on the same arrays, turn by turn in one process.

The results are compared first. A turn is one call of each library, or ten of a short one; figures are medians over the turns, and a ratio is the
median of the turns' ratios, with its smallest and largest.
"""

import argparse
import json
import math
import os
import statistics
import sys
import time

import fovea
import mlx.core as mx
import torch

# name: batch, query heads, key/value heads, queries, keys, head dimension, mask
CASES = {
    "seed": (2, 32, 32, 1000, 1000, 128, "causal"),
    "gqa": (1, 32, 8, 2048, 2048, 128, "causal"),
    "wide": (1, 4, 1, 2048, 2048, 256, "causal"),
    "long": (1, 8, 8, 8192, 8192, 64, "causal"),
    "additive": (1, 32, 8, 2048, 2048, 128, "additive"),
    "boolean": (1, 32, 8, 2048, 2048, 128, "boolean"),
    "decode-4k": (1, 32, 8, 1, 4096, 128, None),
    "decode-32k": (1, 32, 8, 1, 32768, 128, None),
    "decode-9/3": (1, 9, 3, 1, 4096, 64, None),
    "decode-4/1": (1, 4, 1, 1, 4096, 256, None),
}
TYPES = {
    "float32": (torch.float32, mx.float32, 4, 1e-4),
    "bfloat16": (torch.bfloat16, mx.bfloat16, 2, 3e-2),
    "float16": (torch.float16, mx.float16, 2, 4e-3),
}


class Case:
    """One problem in one element type, with a function a library that computes it."""

    def __init__(self, name: str, type_name: str, threads: int) -> None:
        batch, heads, kv_heads, queries, keys, dimension, mask = CASES[name]
        torch_type, mlx_type, width, self.tolerance = TYPES[type_name]
        generator = torch.Generator().manual_seed(1)

        def array(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=generator).to(torch_type)

        self.q = array(batch, heads, queries, dimension)
        self.k, self.v = (array(batch, kv_heads, keys, dimension) for _ in range(2))
        self.output = torch.empty_like(self.q)
        self.scale = 1 / math.sqrt(dimension)
        self.threads = threads
        self.is_causal = mask == "causal"
        self.mask = None
        if mask == "additive":
            self.mask = array(queries, keys)
        elif mask == "boolean":
            self.mask = torch.rand(queries, keys, generator=generator) > 0.3
        self.multiplications = batch * heads * queries * keys * dimension * 2
        if self.is_causal:
            self.multiplications /= 2
        self.key_value_bytes = 2 * batch * kv_heads * keys * dimension * width
        # MLX's own memory, filled once outside of the timing.
        self.mlx_inputs = [mx.array(tensor.float().numpy()).astype(mlx_type) for tensor in (self.q, self.k, self.v)]
        self.mlx_mask = "causal" if self.is_causal else None
        if self.mask is not None:
            self.mlx_mask = mx.array(self.mask.float().numpy()).astype(mx.bool_ if mask == "boolean" else mlx_type)
        mx.eval(*self.mlx_inputs)

    def run_fovea(self):
        """Into memory that is there, as a runtime calls it."""
        mask = "causal" if self.is_causal else self.mask
        return fovea.attention(
            self.q, self.k, self.v, self.scale, self.output, mask=mask, threads=self.threads)

    def run_torch(self):
        """PyTorch's own choice of kernel."""
        return torch.nn.functional.scaled_dot_product_attention(
            self.q, self.k, self.v, attn_mask=self.mask, is_causal=self.is_causal, scale=self.scale, enable_gqa=True)

    def run_mlx(self):
        """MLX on the CPU."""
        result = mx.fast.scaled_dot_product_attention(*self.mlx_inputs, scale=self.scale, mask=self.mlx_mask)
        mx.eval(result)
        return result


def agree(case: Case) -> None:
    """Ends the program where the libraries' results differ by more than the type's rounding."""
    expected = case.run_torch().float()
    results = {"Fovea": case.run_fovea().float()}
    if case.multiplications < 2e10:
        import numpy as np

        results["MLX"] = torch.from_numpy(np.array(case.run_mlx().astype(mx.float32)))
    for name, result in results.items():
        error = ((result - expected).abs() / (1 + expected.abs())).max().item()
        if not error <= case.tolerance:
            raise SystemExit(f"{name} differs from PyTorch by {error:.2e}, more than {case.tolerance:.0e}")


def seconds(run, calls: int) -> float:
    """The mean time of a call, after one that wakes the library's threads where calls are short."""
    if calls > 1:
        run()
    begin = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - begin) / calls


def measure(case: Case, with_mlx: bool, turns: int) -> dict[str, list[float]]:
    """Seconds of every turn, by library."""
    runs = {"Fovea": case.run_fovea, "PyTorch": case.run_torch}
    if with_mlx:
        runs["MLX"] = case.run_mlx
    times: dict[str, list[float]] = {name: [] for name in runs}
    calls = 1 if case.multiplications > 1e9 else 10
    for run in runs.values():
        run()
    for _ in range(turns):
        for name, run in runs.items():
            # A slow peer is given a few turns only: its ratio is not in doubt.
            if len(times[name]) >= 2 and times[name][-1] > 2:
                times[name].append(times[name][-1])
                continue
            times[name].append(seconds(run, calls))
    return times


def main() -> None:
    """Prints a table, or JSON."""
    parser = argparse.ArgumentParser(prog="Tools/compare attention", description=__doc__)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--types", default="float32,bfloat16,float16", help="of " + ", ".join(TYPES))
    parser.add_argument("--cases", default=",".join(CASES), help="of " + ", ".join(CASES))
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--without-mlx", action="store_true", help="MLX takes seconds for a long prefill on the CPU")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    names, types = arguments.cases.split(","), arguments.types.split(",")
    for given, known in ((names, CASES), (types, TYPES)):
        for name in given:
            if name not in known:
                parser.error(f"'{name}' is not one of {', '.join(known)}")
    torch.set_num_threads(arguments.threads)
    mx.set_default_device(mx.cpu)
    rows = []
    if not arguments.json:
        print(f"PyTorch {torch.__version__}, MLX {mx.__version__}, {arguments.threads} threads; medians of "
              f"{arguments.turns} turns; GFLOP/s for prefill, GB/s of keys and values for decode")
        print(f"{'case':11} {'type':9} {'Fovea':>8} {'PyTorch':>8} {'MLX':>8}   Fovea ÷ PyTorch     Fovea ÷ MLX")
    for name in names:
        for type_name in types:
            case = Case(name, type_name, arguments.threads)
            agree(case)
            times = measure(case, not arguments.without_mlx, arguments.turns)
            is_decode = CASES[name][3] == 1
            work = case.key_value_bytes if is_decode else 2 * case.multiplications
            row = {"case": name, "type": type_name, "unit": "GB/s" if is_decode else "GFLOP/s"}
            for library, values in times.items():
                row[library] = work / statistics.median(values) * 1e-9
                if library != "Fovea":
                    ratios = sorted(peer / own for own, peer in zip(times["Fovea"], values))
                    row[f"ratio {library}"] = [statistics.median(ratios), ratios[0], ratios[-1]]
            rows.append(row)
            if arguments.json:
                continue
            columns = "".join(f" {row[x]:8.1f}" if x in row else f" {'–':>8}" for x in ("Fovea", "PyTorch", "MLX"))
            ratios = "".join(
                "   {:5.1f} [{:.1f}–{:.1f}]".format(*row[key]) for key in ("ratio PyTorch", "ratio MLX") if key in row)
            print(f"{name:11} {type_name:9}{columns}{ratios}", flush=True)
    if arguments.json:
        json.dump(rows, sys.stdout, indent=1)
        print()


if __name__ == "__main__":
    main()
