#!/usr/bin/env python3
"""Makes tiny random embedding models with what transformers and sentence-transformers compute of some token ids.

usage: Tools/make-embedding-fixtures.py [FOLDER]      (default: Tests/FoveaEmbeddingsTests/Fixtures)

Needs torch, transformers and sentence-transformers. Every folder holds a model in the layout of sentence-transformers
and expected.json: token ids, the hidden states of one text, and the vectors of all.
"""

import json
import pathlib
import shutil
import sys

import torch
import transformers
from safetensors.torch import load_file, save_file
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling

ROOT = pathlib.Path(__file__).resolve().parents[1]
SIZES = dict(vocab_size=48, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4)
LENGTHS = [1, 2, 3, 7, 16, 17, 33, 40]


def randomised(model: torch.nn.Module, seed: int, scale: float = 0.25) -> torch.nn.Module:
    """Every parameter random, so that none can be left out unnoticed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator) * scale
            is_norm = "norm" in name.lower() and name.endswith("weight")
            # Gemma's norms multiply by 1 + weight.
            parameter.copy_(noise + 1 if is_norm and "Gemma" not in type(model).__name__ else noise)
    return model.eval()


def texts(vocabulary: int, seed: int, lengths: list[int], first: int = 2) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(first, vocabulary, (length,), generator=generator).tolist() for length in lengths]


@torch.no_grad()
def write(folder: pathlib.Path, name: str, model: torch.nn.Module, base: torch.nn.Module, modules: list,
          tokens: list[list[int]], settings: dict | None = None, max_length: int | None = None,
          flags: bool = False) -> None:
    """Saves `model` and `modules`, and what `base`, its part without a head, gives for `tokens`."""
    target = folder / name
    shutil.rmtree(target, ignore_errors=True)
    model.save_pretrained(target)
    states, vectors = [], []
    for ids in tokens:
        kept = ids[:max_length] if max_length else ids
        features = {"input_ids": torch.tensor([kept]), "attention_mask": torch.ones(1, len(kept), dtype=torch.long)}
        features["token_embeddings"] = base(**features).last_hidden_state
        states.append(features["token_embeddings"][0])
        for module in modules or [Pooling(states[-1].shape[-1])]:
            features = module(features)
        vectors.append(features["sentence_embedding"][0])
    entries = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    for index, module in enumerate(modules, 1):
        kind = type(module).__name__
        path = target / f"{index}_{kind}"
        path.mkdir()
        module.save(str(path))
        if flags and kind == "Pooling":
            # The older form of the file.
            mode = module.pooling_mode
            (path / "config.json").write_text(json.dumps({
                "word_embedding_dimension": module.embedding_dimension,
                "pooling_mode_cls_token": mode == "cls", "pooling_mode_mean_tokens": mode == "mean",
                "pooling_mode_max_tokens": mode == "max", "pooling_mode_mean_sqrt_len_tokens": False}))
        entries.append({"idx": index, "name": str(index), "path": path.name,
                        "type": f"sentence_transformers.models.{kind}"})
    if modules:
        (target / "modules.json").write_text(json.dumps(entries, indent=1))
    if settings is not None:
        (target / "config_sentence_transformers.json").write_text(json.dumps(settings, indent=1))
    if max_length:
        (target / "sentence_bert_config.json").write_text(
            json.dumps({"max_seq_length": max_length, "do_lower_case": False}))
    shown = 4
    (target / "expected.json").write_text(json.dumps({
        "tokens": tokens, "shown": shown,
        "states": [rounded(value) for value in states[shown].flatten().tolist()],
        "vectors": [[rounded(value) for value in vector.tolist()] for vector in vectors]}))


def rounded(value: float) -> float:
    return float(f"{value:.7g}")


def with_old_norm_names(folder: pathlib.Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    renamed = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
               for name, tensor in tensors.items()}
    save_file(renamed, path, metadata={"format": "pt"})


def make_encoders(folder: pathlib.Path) -> None:
    config = transformers.BertConfig(**SIZES, max_position_embeddings=300)
    bert = randomised(transformers.BertModel(config, add_pooling_layer=False), 1)
    # More than a block of keys, and more than the model's limit.
    write(folder, "bert_mean", bert, bert, [Pooling(32, "mean"), Normalize()], texts(48, 2, LENGTHS + [280, 299]),
          {"prompts": {"query": "query: ", "passage": ""}, "default_prompt_name": None,
           "similarity_fn_name": "dot"}, max_length=290, flags=True)

    config = transformers.BertConfig(**SIZES, max_position_embeddings=48, type_vocab_size=3, hidden_act="gelu_new")
    masked = randomised(transformers.BertForMaskedLM(config), 3)
    write(folder, "bert_plain", masked, masked.bert, [], texts(48, 4, LENGTHS))
    with_old_norm_names(folder / "bert_plain")

    sizes = dict(SIZES, hidden_size=24, num_attention_heads=2, intermediate_size=40)
    half = randomised(transformers.BertModel(transformers.BertConfig(**sizes, max_position_embeddings=48),
                                             add_pooling_layer=False), 5).to(torch.bfloat16)
    half.save_pretrained(folder / "bert_bfloat16")
    whole = transformers.BertModel.from_pretrained(folder / "bert_bfloat16", add_pooling_layer=False,
                                                   dtype=torch.float32).eval()
    write(folder, "bert_bfloat16", half, whole, [Pooling(24, "cls")], texts(48, 6, LENGTHS), flags=True)

    config = transformers.RobertaConfig(**SIZES, max_position_embeddings=48, pad_token_id=1, type_vocab_size=1)
    roberta = randomised(transformers.RobertaModel(config, add_pooling_layer=False), 7)
    pooling = Pooling(32, ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"))
    dense = randomised(Dense(192, 20, activation_function=torch.nn.Tanh()), 8)
    # The padding token inside of a text has a position of its own.
    write(folder, "roberta_dense", roberta, roberta, [pooling, dense],
          texts(48, 9, LENGTHS) + [[5, 1, 7, 1, 1, 9]], {"similarity_fn_name": "euclidean"})

    config = transformers.XLMRobertaConfig(**SIZES, max_position_embeddings=48, pad_token_id=1, type_vocab_size=1)
    model = randomised(transformers.XLMRobertaForMaskedLM(config), 10)
    write(folder, "xlm_roberta", model, model.roberta,
          [Pooling(32, ("mean_sqrt_len_tokens", "weightedmean")), Normalize()], texts(48, 11, LENGTHS))

    config = transformers.DistilBertConfig(vocab_size=48, dim=32, hidden_dim=48, n_layers=2, n_heads=4,
                                           max_position_embeddings=48)
    distil = randomised(transformers.DistilBertModel(config), 12)
    dense = randomised(Dense(32, 12, bias=False, activation_function=torch.nn.GELU()), 13)
    write(folder, "distilbert", distil, distil, [Pooling(32, "max"), dense, Normalize()], texts(48, 14, LENGTHS))

    # Long enough for every bucket of distances, and for several blocks of keys.
    config = transformers.MPNetConfig(**SIZES, max_position_embeddings=302, relative_attention_num_buckets=32)
    mpnet = randomised(transformers.MPNetModel(config, add_pooling_layer=False), 15)
    write(folder, "mpnet", mpnet, mpnet, [Pooling(32, "mean"), Normalize()],
          texts(48, 16, LENGTHS + [290]) + [[5, 1, 7, 1, 1, 9]])


def make_decoders(folder: pathlib.Path) -> None:
    sizes = dict(SIZES, num_key_value_heads=2, head_dim=8, max_position_embeddings=64)
    config = transformers.Qwen3Config(**sizes, tie_word_embeddings=True)
    qwen = randomised(transformers.Qwen3Model(config), 20)
    write(folder, "qwen3", qwen, qwen, [Pooling(32, "lasttoken", include_prompt=True), Normalize()],
          texts(48, 21, LENGTHS), {"prompts": {"query": "Instruct: find\nQuery:", "document": ""},
                                   "default_prompt_name": None, "similarity_fn_name": "cosine"})

    config = transformers.MistralConfig(**sizes, sliding_window=9, tie_word_embeddings=False)
    mistral = randomised(transformers.MistralModel(config), 22)
    write(folder, "mistral", mistral, mistral, [Pooling(32, "lasttoken")], texts(48, 23, LENGTHS))

    config = transformers.Gemma3TextConfig(
        **dict(sizes, num_hidden_layers=3), sliding_window=12, use_bidirectional_attention=True,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"], query_pre_attn_scalar=16)
    gemma = randomised(transformers.Gemma3TextModel(config), 24)
    first = randomised(Dense(32, 64, bias=False, activation_function=torch.nn.Identity()), 25)
    second = randomised(Dense(64, 32, bias=False, activation_function=torch.nn.Identity()), 26)
    write(folder, "gemma3_bidirectional", gemma, gemma, [Pooling(32, "mean"), first, second, Normalize()],
          texts(48, 27, LENGTHS),
          {"prompts": {"query": "task: search result | query: ", "document": "title: none | text: "},
           "default_prompt_name": "document", "similarity_fn_name": "cosine"})

    config = transformers.Qwen2Config(
        **{**sizes, "num_hidden_layers": 3}, sliding_window=5, use_sliding_window=True, is_causal=False,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"], tie_word_embeddings=True)
    qwen = randomised(transformers.Qwen2Model(config), 28)
    write(folder, "qwen2_bidirectional", qwen, qwen, [Pooling(32, "lasttoken"), Normalize()], texts(48, 29, LENGTHS))


def main() -> None:
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "Tests/FoveaEmbeddingsTests/Fixtures")
    folder.mkdir(parents=True, exist_ok=True)
    make_encoders(folder)
    make_decoders(folder)


if __name__ == "__main__":
    main()
