#!/usr/bin/env python3
"""Times the attention op of Fovea, PyTorch and MLX on the same arrays, one after the other in every repetition.

Results are compared with each other before anything is timed. A ratio is the peer's time divided by Fovea's, taken
within each repetition, so that a machine whose pace changes from minute to minute changes both; its median and range
are printed.
"""

import argparse
import dataclasses
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time

import mlx.core as mx
import torch
from peers import PEERS, Problem

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# The largest difference between two results, of |value| about 1: the rounding of the type and of sums in it.
TOLERANCES = {"float32": 1e-4, "bfloat16": 3e-2, "float16": 4e-3}


@dataclasses.dataclass(frozen=True)
class Case:
    """Sizes and mask of one call."""

    batch: int
    heads: int
    key_value_heads: int
    query_length: int
    key_length: int
    dimension: int
    mask: str

    @property
    def operations(self) -> float:
        """4·B·Nq·Tq·Tkv·D, halved when causal."""
        count = 4.0 * self.batch * self.heads * self.query_length * self.key_length * self.dimension
        return count / 2 if self.mask == "causal" else count

    def key_value_bytes(self, element_size: int) -> float:
        return 2.0 * self.batch * self.key_value_heads * self.key_length * self.dimension * element_size


CASES = {
    "seed": Case(2, 32, 32, 1000, 1000, 128, "causal"),
    "gqa": Case(1, 32, 8, 2048, 2048, 128, "causal"),
    "mqa": Case(1, 4, 1, 2048, 2048, 256, "causal"),
    "long": Case(1, 8, 8, 8192, 8192, 64, "causal"),
    "additive": Case(1, 32, 8, 2048, 2048, 128, "additive"),
    "boolean": Case(1, 32, 8, 2048, 2048, 128, "boolean"),
    "decode4k": Case(1, 32, 8, 1, 4096, 128, "none"),
    "decode32k": Case(1, 32, 8, 1, 32768, 128, "none"),
    "decode9x3": Case(1, 9, 3, 1, 4096, 64, "none"),
    "decode4x1": Case(1, 4, 1, 1, 4096, 256, "none"),
}


def make_problem(case: Case, dtype: torch.dtype, threads: int) -> Problem:
    """Normal variates of a fixed seed; a Boolean mask hides one key in eight."""
    generator = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    key_shape = (case.batch, case.key_value_heads, case.key_length, case.dimension)
    mask = {"none": None, "causal": "causal"}.get(case.mask)
    if case.mask == "additive":
        mask = normal(case.query_length, case.key_length)
    elif case.mask == "boolean":
        mask = torch.rand((case.query_length, case.key_length), generator=generator) > 0.125
    queries = normal(case.batch, case.heads, case.query_length, case.dimension)
    return Problem(queries, normal(*key_shape), normal(*key_shape), mask, threads)


def check(name: str, type_name: str, results: dict[str, torch.Tensor]) -> None:
    """Ends the program if two results differ by more than rounding."""
    expected = results["fovea"].float()
    for peer, result in results.items():
        error = float((result.float() - expected).abs().div(1 + expected.abs()).max())
        # Written so that NaN fails.
        if not error <= TOLERANCES[type_name]:
            raise SystemExit(f"{name} {type_name}: {peer} differs by {error:.1e}, at most {TOLERANCES[type_name]:.0e}")


def seconds(run, call_count: int) -> float:
    """The time of one call. Waits first until the threads of the peer before have gone to sleep."""
    time.sleep(0.02)
    begin = time.perf_counter()
    for _ in range(call_count):
        run()
    return (time.perf_counter() - begin) / call_count


def machine_peaks(threads: int) -> dict:
    """The machine's limits now, as `fovea bench` measures them: GFLOP/s by type, and the memory's GB/s."""
    root = pathlib.Path(__file__).resolve().parents[2]
    binary = os.environ.get("FOVEA_BINARY", str(root / ".build/release/fovea"))
    command = [binary, "bench", "attention", "--shape", "1,1,1,1,1,8", "--repetitions", "1", "--json"]
    # What PyTorch or MLX preload is of no concern to it.
    environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    output = subprocess.run([*command, "--threads", str(threads)], check=True, stdout=subprocess.PIPE, env=environment)
    report = json.loads(output.stdout)
    peaks = report["peaks"][0]
    float32 = peaks.get("float32_gflops")
    return {"processor": report["processor"], "instruction_set": report["instruction_set"], "float32": float32,
            "float16": float32, "bfloat16": peaks.get("bfloat16_gflops", float32),
            "memory": peaks["memory_gb_per_second"]}


def compare(name: str, type_name: str, options: argparse.Namespace, peaks: dict) -> dict:
    """Checks and times one case, and returns milliseconds and ratios of every peer."""
    case = CASES[name]
    problem = make_problem(case, TYPES[type_name], options.threads)
    prepared = {peer: PEERS[peer](problem) for peer in options.peers}
    results, call_counts = {}, {}
    for peer, (run, result) in prepared.items():
        run()
        # Short calls are repeated, for the clock's sake and since the first finds threads asleep.
        call_counts[peer] = max(1, min(200, math.ceil(0.03 / seconds(run, 1))))
        results[peer] = result()
    check(name, type_name, results)
    times = {peer: [] for peer in prepared}
    for _ in range(options.repetitions):
        for peer, (run, _) in prepared.items():
            times[peer].append(seconds(run, call_counts[peer]))
    row = {"case": name, **dataclasses.asdict(case), "type": type_name, "peers": {}}
    for peer, values in times.items():
        median = statistics.median(values)
        ratios = [value / own for value, own in zip(values, times["fovea"])]
        row["peers"][peer] = {
            "milliseconds": [value * 1e3 for value in values], "median": median * 1e3,
            "gflops": case.operations / median / 1e9,
            "gb_per_second": case.key_value_bytes(problem.queries.element_size()) / median / 1e9,
            "peak_share": case.operations / median / 1e9 / peaks[type_name] if peaks[type_name] else None,
            "ratio": statistics.median(ratios), "ratio_minimum": min(ratios), "ratio_maximum": max(ratios),
        }
    return row


def limits_text(label: str, peaks: dict) -> str:
    """One line of what the machine can do."""
    arithmetic = "".join(f"{name} {peaks[name]:.0f} GFLOP/s, " for name in ("float32", "bfloat16") if peaks[name])
    return f"{label}: {arithmetic}memory {peaks['memory']:.1f} GB/s"


def table_row(row: dict, peaks: dict) -> str:
    """GFLOP/s of a prefill or GB/s of a decode for every peer, Fovea's share of the limit, ratios with their range."""
    decodes = row["query_length"] == 1
    line = f"{row['case']:<10} {row['type']:<9}"
    for peer, figures in row["peers"].items():
        speed = figures["gb_per_second"] if decodes else figures["gflops"]
        line += f"{speed:9.2f} GB/s" if decodes else f"{speed:9.1f} GF/s"
        if peer == "fovea":
            share = speed / peaks["memory"] if decodes else figures["peak_share"]
            line += f"{share:6.0%}" if share else "     –"
        else:
            spread = f"[{figures['ratio_minimum']:.2f}–{figures['ratio_maximum']:.2f}]"
            line += f"{figures['ratio']:9.2f} {spread:<17}"
    return line.rstrip()


def names(known, label: str):
    """The type of an option that takes known names with commas."""
    def parse(text: str) -> list[str]:
        for name in text.split(","):
            if name not in known:
                raise argparse.ArgumentTypeError(f"unknown {label} '{name}', expected one of {', '.join(known)}")
        return text.split(",")
    return parse


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="Tools/compare attention", description=__doc__.split("\n\n")[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="for all of them (default: all cores)")
    parser.add_argument("--type", type=names(TYPES, "type"), default=list(TYPES), help=", ".join(TYPES))
    parser.add_argument("--cases", type=names(CASES, "case"), default=list(CASES), help=", ".join(CASES))
    parser.add_argument("--peers", type=names(PEERS, "peer"), default=list(PEERS), help=", ".join(PEERS))
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="write JSON")
    options = parser.parse_args()
    if options.threads < 1 or options.repetitions < 1:
        parser.error("--threads and --repetitions must be at least 1")
    # A preloaded BLAS takes the place of PyTorch's own too, and more than halves its speed: it is left out then.
    left_out = ("fovea", "torch") if "FOVEA_COMPARE_PRELOAD" in os.environ else ("fovea",)
    options.peers = ["fovea"] + [peer for peer in options.peers if peer not in left_out]
    return options


def main() -> None:
    options = parse_options()
    torch.set_num_threads(options.threads)
    mx.set_default_device(mx.cpu)
    peaks = machine_peaks(options.threads)
    preload = os.environ.get("FOVEA_COMPARE_PRELOAD", "")
    versions = {"torch": torch.__version__, "mlx": mx.__version__, "preloaded": os.path.basename(preload)}
    if not options.json:
        blas = f" with {versions['preloaded']}" if preload else ""
        print(f"attention, {peaks['instruction_set']}, threads: {options.threads}, {peaks['processor']}, "
              f"PyTorch {versions['torch']}, MLX {versions['mlx']}{blas}")
        print(limits_text("limits", peaks) + "\n")
        print(f"{'case':<10} {'type':<9}{'fovea':>14} {'limit':>5}"
              + "".join(f"{peer:>14}{'ratio':>9} {'[range]':<17}" for peer in options.peers[1:]).rstrip(), flush=True)
    rows = []
    for name in options.cases:
        for type_name in options.type:
            if sys.stderr.isatty():
                print(f"\r\x1b[K{name} {type_name}", end="", file=sys.stderr, flush=True)
            rows.append(compare(name, type_name, options, peaks))
            if sys.stderr.isatty():
                print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            if not options.json:
                print(table_row(rows[-1], peaks), flush=True)
    # Again, since the memory's pace changes with what else the machine's owner runs.
    last_peaks = machine_peaks(options.threads)
    if options.json:
        print(json.dumps({"operation": "attention", "threads": options.threads, "versions": versions,
                          "peaks": peaks, "last_peaks": last_peaks, "rows": rows}))
    else:
        print("\n" + limits_text("limits at the end", last_peaks))


if __name__ == "__main__":
    main()
