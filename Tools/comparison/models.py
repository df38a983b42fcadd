"""Times prompts and generation of the same weights in Fovea, llama.cpp and transformers, in turns. See Tools/compare."""

import argparse
import ctypes
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import llama_cpp
import torch
from gguf_checkpoint import QUANTISED, TYPES, write_gguf, write_safetensors
from model_folder import model_folder

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOVEA = os.environ.get("FOVEA_EXECUTABLE", str(ROOT / ".build/release/fovea"))
WORK = ROOT / ".build-compare/models"
# The largest mean difference of the losses of tokens from Fovea's, in nats: roundings of activations differ, and
# llama.cpp caches keys and values in float16. Two roundings of the
# weights differ by more on random tokens, which no model expects.
TOLERANCES = {"float32": 1e-2, "bfloat16": 5e-2, "float16": 2e-2, "8bit": 0.4, "4bit": 1.5}
# Random tokens whose losses are compared first.
CHECKED_TOKENS = 96


def random_tokens(count: int, vocabulary: int, seed: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(vocabulary, (count,), generator=generator).tolist()


class Fovea:
    """The executable; each turn is a process, whose loading is not timed."""

    name = "fovea"

    def __init__(self, folder: pathlib.Path, type_name: str, options: argparse.Namespace):
        self.folder, self.options = folder, options
        # float32 weights are the native precision of a float32 checkpoint; float16 activations are float32 too.
        self.precision = options.precision

    def run(self, *arguments: str) -> str:
        result = subprocess.run([FOVEA, *arguments], capture_output=True, text=True)
        if result.returncode != 0:
            raise RuntimeError(result.stderr.strip())
        return result.stdout

    def losses(self, tokens: list[int]) -> list[float]:
        with tempfile.TemporaryDirectory() as folder:
            ids, table = pathlib.Path(folder, "ids"), pathlib.Path(folder, "losses")
            ids.write_text(",".join(map(str, tokens)))
            self.run("perplexity", "--tokens", str(ids), "--method", "strided", "--context-length", str(len(tokens)),
                     "--stride", str(len(tokens)), "--model", str(self.folder), "--per-token", str(table), "--precision",
                     self.precision)
            rows = [line.split("\t") for line in table.read_text().splitlines() if not line.startswith("#")]
            column = rows[0].index("loss")
            return [float(row[column]) for row in rows[1:]]

    def time(self, kind: str, count: int, depth: int) -> float:
        arguments = ["-p", str(count), "-n", "0"] if kind == "pp" else ["-p", "0", "-n", str(count)]
        report = json.loads(self.run("bench", "--model", str(self.folder), "-t", str(self.options.threads), "-d",
                                     str(depth), "-r", "1", "--precision", self.precision, "--json", *arguments))
        self.load_seconds = report["results"][0]["load_seconds"]
        return report["results"][0]["median"]


class LlamaCpp:
    """llama.cpp by its C functions: token ids in, logits out."""

    name = "llama.cpp"

    def __init__(self, path: pathlib.Path, options: argparse.Namespace):
        self.silence = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self.silence, ctypes.c_void_p())
        start = time.perf_counter()
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        if not self.model:
            raise RuntimeError(f"llama.cpp does not load {path}")
        parameters = llama_cpp.llama_context_default_params()
        # Room for what is checked before, too.
        parameters.n_ctx = options.depth + max(options.prompt + options.generate, CHECKED_TOKENS) + 64
        parameters.n_batch = 2048
        parameters.n_ubatch = 512
        parameters.n_threads = parameters.n_threads_batch = options.threads
        self.context = llama_cpp.llama_init_from_model(self.model, parameters)
        self.load_seconds = time.perf_counter() - start
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        self.memory = llama_cpp.llama_get_memory(self.context)

    def decode(self, tokens: list[int], position: int, all_logits: bool = False) -> None:
        for first in range(0, len(tokens), 2048):
            part = tokens[first:first + 2048]
            batch = llama_cpp.llama_batch_init(len(part), 0, 1)
            batch.n_tokens = len(part)
            for i, token in enumerate(part):
                batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0] = token, position + first + i, 1, 0
                batch.logits[i] = all_logits or first + i == len(tokens) - 1
            if llama_cpp.llama_decode(self.context, batch) != 0:
                raise RuntimeError("llama_decode failed")
            llama_cpp.llama_batch_free(batch)
        # Evaluation may go on in the background until the logits are asked for.
        llama_cpp.llama_get_logits_ith(self.context, -1)

    def losses(self, tokens: list[int]) -> list[float]:
        llama_cpp.llama_memory_clear(self.memory, True)
        self.decode(tokens, 0, all_logits=True)
        losses = []
        for i in range(len(tokens) - 1):
            row = llama_cpp.llama_get_logits_ith(self.context, i)
            logits = torch.frombuffer((ctypes.c_float * self.vocabulary).from_address(
                ctypes.addressof(row.contents)), dtype=torch.float32).double()
            losses.append(float(torch.logsumexp(logits, 0) - logits[tokens[i + 1]]))
        return losses

    def time(self, kind: str, count: int, depth: int) -> float:
        tokens = random_tokens(count, self.vocabulary, 3)
        llama_cpp.llama_memory_clear(self.memory, True)
        if depth:
            self.decode(random_tokens(depth, self.vocabulary, 4), 0)
        start = time.perf_counter()
        if kind == "pp":
            self.decode(tokens, depth)
        else:
            for i, token in enumerate(tokens):
                self.decode([token], depth + i)
        return count / (time.perf_counter() - start)


class Transformers:
    """transformers on PyTorch, with its cache."""

    name = "transformers"

    def __init__(self, folder: pathlib.Path, type_name: str, options: argparse.Namespace):
        from transformers import AutoModelForCausalLM

        torch.set_num_threads(options.threads)
        start = time.perf_counter()
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=TYPES[type_name]).eval()
        self.load_seconds = time.perf_counter() - start
        self.vocabulary = self.model.config.vocab_size

    @torch.no_grad()
    def losses(self, tokens: list[int]) -> list[float]:
        logits = self.model(torch.tensor([tokens])).logits[0].double()
        target = torch.tensor(tokens[1:])
        return torch.nn.functional.cross_entropy(logits[:-1], target, reduction="none").tolist()

    @torch.no_grad()
    def time(self, kind: str, count: int, depth: int) -> float:
        tokens = torch.tensor([random_tokens(count, self.vocabulary, 3)])
        cache = None
        if depth:
            ids = torch.tensor([random_tokens(depth, self.vocabulary, 4)])
            cache = self.model(ids, use_cache=True, logits_to_keep=1).past_key_values
        start = time.perf_counter()
        if kind == "pp":
            self.model(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
        else:
            for i in range(count):
                cache = self.model(tokens[:, i:i + 1], past_key_values=cache, use_cache=True).past_key_values
        return count / (time.perf_counter() - start)


def quantised_folder(folder: pathlib.Path, target: pathlib.Path, type_name: str) -> pathlib.Path | None:
    """Fovea's own quantisation of the bfloat16 checkpoint; None if this build cannot."""
    if (target / "config.json").exists():
        return target
    bits, group = ("8", "64") if type_name == "8bit" else ("4", "32")
    result = subprocess.run([FOVEA, "quantize", str(folder), str(target), "--bits", bits, "--group-size", group],
                            capture_output=True, text=True)
    return target if result.returncode == 0 else None


def peers_of(folder: pathlib.Path, type_name: str, options: argparse.Namespace) -> list:
    work = WORK / folder.name
    gguf = write_gguf(folder, work / f"{type_name}.gguf", type_name)
    if type_name in QUANTISED:
        own = quantised_folder(folder, work / type_name, type_name)
        if own is None:
            print(f"{folder.name} {type_name}: left out, this fovea has no quantize", file=sys.stderr)
            return []
    else:
        own = write_safetensors(folder, work / type_name, type_name)
    peers = [Fovea(own, type_name, options), LlamaCpp(gguf, options)]
    if "transformers" in options.peers and type_name in ("float32", "bfloat16"):
        peers.append(Transformers(own, type_name, options))
    return [peer for peer in peers if peer.name == "fovea" or peer.name in options.peers]


def check(peers: list, type_name: str, vocabulary: int) -> None:
    """The losses of the same random tokens must agree before anything is timed."""
    tokens = random_tokens(CHECKED_TOKENS, vocabulary, 1)
    expected = peers[0].losses(tokens)
    for peer in peers[1:]:
        got = peer.losses(tokens)
        difference = statistics.fmean(abs(a - b) for a, b in zip(expected, got, strict=True))
        # transformers keeps the residual stream in the type of the weights.
        limit = 0.3 if peer.name == "transformers" and type_name == "bfloat16" else TOLERANCES[type_name]
        if type_name == "4bit":
            limit = max(limit, 0.15 * statistics.fmean(expected))
        if not difference <= limit:
            raise SystemExit(f"{peer.name} {type_name}: losses differ by {difference:.4f} nats on average")


def measure(peers: list, kind: str, count: int, depth: int, rounds: int) -> dict:
    for peer in peers[1:]:
        peer.time(kind, min(count, 16), 0)
    speeds = {peer.name: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            speeds[peer.name].append(peer.time(kind, count, depth))
    ratios = {name: sorted(a / b for a, b in zip(speeds["fovea"], values)) for name, values in speeds.items()
              if name != "fovea"}
    return {"speeds": {name: statistics.median(values) for name, values in speeds.items()},
            "ratios": {name: {"median": statistics.median(values), "minimum": values[0], "maximum": values[-1]}
                       for name, values in ratios.items()}}


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="Tools/compare models", description=__doc__)
    parser.add_argument("--model", action="append", type=model_folder, help="folder; may be repeated (default: bundled)")
    parser.add_argument("--formats", default="float32,bfloat16,float16,8bit,4bit")
    parser.add_argument("--peers", default="llama.cpp,transformers")
    parser.add_argument("--precision", default="native", help="Fovea's, as of its --precision")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=128)
    parser.add_argument("--depth", type=int, default=0, help="tokens in the cache before")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="write JSON")
    options = parser.parse_args()
    options.formats, options.peers = options.formats.split(","), options.peers.split(",")
    for name in options.formats:
        if name not in TOLERANCES:
            parser.error(f"--formats: {name} is none of {', '.join(TOLERANCES)}")
    options.model = options.model or [ROOT / "Models/storyteller-15m"]
    return options


def main() -> None:
    options = parse_options()
    llama_cpp.llama_backend_init()
    results = []
    if not options.json:
        print(f"threads: {options.threads}, tokens a second; ratio [range] of Fovea to each\n")
    for folder in options.model:
        vocabulary = json.loads((folder / "config.json").read_text())["vocab_size"]
        for type_name in options.formats:
            peers = peers_of(folder.resolve(), type_name, options)
            if len(peers) < 2:
                continue
            check(peers, type_name, vocabulary)
            for kind, count in (("pp", options.prompt), ("tg", options.generate)):
                if count == 0:
                    continue
                result = measure(peers, kind, count, options.depth, options.rounds)
                loads = {peer.name: peer.load_seconds for peer in peers}
                results.append({"model": folder.name, "format": type_name, "test": f"{kind}{count}",
                                "depth": options.depth, "load_seconds": loads} | result)
                if not options.json:
                    test = f"{kind}{count}" + (f" @ d{options.depth}" if options.depth else "")
                    cells = [f"{name} {speed:.1f}" for name, speed in result["speeds"].items()]
                    ratios = [f"{name} {r['median']:.2f}x [{r['minimum']:.2f}–{r['maximum']:.2f}]"
                              for name, r in result["ratios"].items()]
                    print(f"{folder.name:24} {type_name:9} {test:14}", "; ".join(cells), "|", "; ".join(ratios),
                          flush=True)
            if not options.json:
                print(f"{folder.name:24} {type_name:9} load          ",
                      "; ".join(f"{peer.name} {peer.load_seconds * 1000:.1f} ms" for peer in peers), flush=True)
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
