#!/usr/bin/env python3
"""Compares lm-eval's numbers with Fovea as its model and with its own model `hf` in float32, on tasks made here.

The tasks' data are cut from a text whose documents are separated by blank lines, and written to a temporary folder with
the tasks' YAML: a multiple choice (which of four continuations follows a story), the last word of a paragraph (its
log-likelihood, and whether it is greedy), and rolling log-likelihoods of documents, one longer than the context. Nothing
comes from a hub.

usage: lm_eval_tasks.py TEXT [--model DIR] [--fovea PATH] [--count 100] [--tolerance 1e-4]

Every single request's log-likelihood must be within the tolerance, relative to the larger of it and 1, and every metric
equal to 5 digits, perplexities by their logarithm. Needs requirements-evaluation.txt.
"""

import argparse
import json
import math
import os
import pathlib
import random
import sys
import tempfile

from model_folder import model_folder

ROOT = pathlib.Path(__file__).resolve().parents[2]
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
sys.path.insert(0, str(ROOT / "Tools"))

COMMON = """
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
"""

TASKS = {
    "fovea_choice": """
task: fovea_choice
output_type: multiple_choice
doc_to_text: "{{context}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
target_delimiter: " "
metric_list: [{metric: acc}, {metric: acc_norm}]
""",
    "fovea_last_word": """
task: fovea_last_word
output_type: loglikelihood
doc_to_text: "{{context}}"
doc_to_target: "{{word}}"
target_delimiter: " "
metric_list: [{metric: perplexity}, {metric: acc}]
""",
    "fovea_rolling": """
task: fovea_rolling
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: word_perplexity}, {metric: byte_perplexity}, {metric: bits_per_byte}]
""",
}


def make_data(text, count):
    """Records for each task, from the documents of `text`."""
    random.seed(7)
    documents = [d.strip() for d in text.split("\n\n") if len(d.split()) > 40]
    halves = []
    for document in documents[:count]:
        words = document.split(" ")
        cut = len(words) // 2
        halves.append((" ".join(words[:cut]), " ".join(words[cut:cut + random.randint(1, 12)])))
    choices = []
    for index, (context, right) in enumerate(halves):
        others = [halves[(index + step) % len(halves)][1] for step in (1, 2, 3)]
        answer = random.randrange(4)
        # A space at the end of some contexts, which moves to the continuation.
        choices.append({"context": context + (" " if index % 3 == 0 else ""),
                        "choices": others[:answer] + [right] + others[answer:], "answer": answer})
    words = [{"context": d.rsplit(" ", 1)[0], "word": d.rsplit(" ", 1)[1]} for d in documents[:count]]
    words.append({"context": "", "word": "Once upon a time"})
    rolling = [{"text": d} for d in documents[:count // 2]] + [{"text": "\n\n".join(documents[:40])}]
    return {"fovea_choice": choices, "fovea_last_word": words, "fovea_rolling": rolling}


def run(model, arguments, tasks, folder):
    import lm_eval
    from lm_eval.tasks import TaskManager

    return lm_eval.simple_evaluate(
        model=model, model_args=arguments, tasks=tasks, task_manager=TaskManager(include_path=str(folder)),
        log_samples=True, bootstrap_iters=0, batch_size=1, device="cpu" if model == "hf" else None)


def likelihoods(samples):
    """Every request's answer, in the order of documents."""
    result = []
    for sample in sorted(samples, key=lambda s: s["doc_id"]):
        for answer in sample["resps"]:
            answer = answer[0] if isinstance(answer, list) else answer
            result.append(tuple(answer) if isinstance(answer, (list, tuple)) else (answer, None))
    return [(float(value), greedy if greedy is None else str(greedy) == "True") for value, greedy in result]


def is_equal(name, first, second):
    """Whether a metric is the same; a perplexity, which may be huge, by the mean log-likelihood that it stands for."""
    if "perplexity" in name:
        first, second = math.log(first), math.log(second)
    return abs(first - second) <= 1e-5 * max(1, abs(first))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--model", type=model_folder, default=ROOT / "Models/storyteller-15m")
    parser.add_argument("--fovea", default=str(ROOT / ".build/release/fovea"))
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    options = parser.parse_args()
    import lm_eval.models  # registers hf
    import lm_eval_fovea  # registers fovea

    failures = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for task, records in make_data(options.text.read_text(), options.count).items():
            data = folder / f"{task}.jsonl"
            data.write_text("".join(json.dumps(record) + "\n" for record in records))
            (folder / f"{task}.yaml").write_text(TASKS[task].lstrip() + COMMON.format(data=data).lstrip())
        os.environ["HF_DATASETS_CACHE"] = str(folder / "cache")
        for extra in ({}, {"add_bos_token": False}):
            theirs = run(
                "hf", {"pretrained": str(options.model), "dtype": "float32", "attn_implementation": "eager", **extra},
                list(TASKS), folder)
            ours = run(
                "fovea", {"pretrained": str(options.model), "precision": "float32", "executable": options.fovea,
                          **extra}, list(TASKS), folder)
            for task in TASKS:
                pairs = list(zip(likelihoods(theirs["samples"][task]), likelihoods(ours["samples"][task]), strict=True))
                worst = max(abs(a[0] - b[0]) / max(1, abs(a[0])) for a, b in pairs)
                greedy = sum(a[1] != b[1] for a, b in pairs)
                metrics = {key: (value, ours["results"][task][key]) for key, value in theirs["results"][task].items()
                           if isinstance(value, float)}
                equal = all(is_equal(key, a, b) for key, (a, b) in metrics.items())
                good = worst <= options.tolerance and greedy == 0 and equal
                failures += not good
                shown = ", ".join(f"{key.split(',')[0]} {a:.6g} and {b:.6g}" for key, (a, b) in metrics.items())
                print(f"{task} {extra or ''}: {len(pairs)} requests, worst relative difference {worst:.1e}, "
                      f"{greedy} greedy flags differ; hf and Fovea: {shown}: {'ok' if good else 'FAR'}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
