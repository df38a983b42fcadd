"""Fovea from Python, with ctypes only: models, tokenizers, sessions, embedders, and the attention op.

    model = fovea.Model("Models/storyteller-15m")
    print(model.session().generate("Once upon a time", max_tokens=40, temperature=0).text)

Arrays are NumPy's where it is installed, else memoryviews. The attention op takes arrays of NumPy, PyTorch, MLX and
whatever else speaks DLPack, and memoryviews, without a copy. Objects free themselves, or at the end of a `with`.
The library is found through FOVEA_LIBRARY, else in this repository's release build.
"""

import array
import ctypes
import json
import os
import typing
import weakref

from fovea_library import (
    AttentionOptions, Borrowed, EmbedderProperties, EmbeddingOptions, GenerationOptions, GenerationSummary, LoadOptions,
    ModelProperties, PieceCallback, TokenizerProperties, FoveaError, call, library, sized)

__all__ = [
    "Detokenizer", "Embedder", "Embeddings", "FoveaError", "Generation", "Model", "Session", "Tokenizer", "attention",
    "prepare", "version"]

_PRECISIONS = {"native": 0, "float32": 1, "bfloat16": 2, "int16": 3}
_LOGITS = {"none": 0, "last": 1, "all": 2}
_FINISH_REASONS = ("end_of_text", "stop_string", "length", "cancelled")


def version() -> str:
    """The version of the library."""
    return library.fovea_version().decode()


def _choice(name: str, value, choices: dict) -> int:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(choices)}")
    return choices[value]


def _tokens(tokens):
    """Token ids as C has them; OverflowError for what is no int32."""
    values = array.array("i", tokens)
    return (ctypes.c_int32 * len(values)).from_buffer(values) if values else None, len(values)


def _token_list(function, *arguments) -> list:
    count = ctypes.c_size_t()
    call(function, *arguments, None, 0, ctypes.byref(count))
    buffer = (ctypes.c_int32 * max(1, count.value))()
    call(function, *arguments, buffer, count.value, ctypes.byref(count))
    return buffer[:count.value]


def _text(function, *arguments) -> str:
    count = ctypes.c_size_t()
    call(function, *arguments, None, 0, ctypes.byref(count))
    buffer = ctypes.create_string_buffer(count.value + 1)
    call(function, *arguments, buffer, len(buffer), ctypes.byref(count))
    return buffer.raw[:count.value].decode()


def _floats(buffer, shape):
    """The values of a ctypes array as a NumPy array, or as a memoryview."""
    try:
        import numpy
    except ImportError:
        return memoryview(buffer).cast("B").cast("f", shape)
    return numpy.frombuffer(buffer, numpy.float32).reshape(shape)


class _Handle:
    """An object of the library, freed once nobody holds it."""

    def __init__(self, handle: ctypes.c_void_p, free) -> None:
        self._handle = handle
        self._finalizer = weakref.finalize(self, free, handle)

    def close(self) -> None:
        """Frees the object; what is asked of it afterwards raises FoveaError."""
        self._finalizer()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _load(function, folder, threads: int, precision: str) -> ctypes.c_void_p:
    handle = ctypes.c_void_p()
    options = sized(LoadOptions, thread_count=threads, precision=_choice("precision", precision, _PRECISIONS))
    call(function, os.fsencode(folder), ctypes.byref(options), ctypes.byref(handle))
    return handle


class Model(_Handle):
    """A model of a folder in Hugging Face layout. `threads` 0 takes as many as the process may use."""

    def __init__(self, folder, *, threads: int = 0, precision: str = "native") -> None:
        super().__init__(_load(library.fovea_model_load, folder, threads, precision), library.fovea_model_free)

    @property
    def properties(self) -> dict:
        """Sizes, limits and types; the names are those of fovea.h."""
        properties = sized(ModelProperties)
        call(library.fovea_model_get_properties, self._handle, ctypes.byref(properties))
        return properties.as_dictionary()

    @property
    def end_of_text_tokens(self) -> list:
        """The tokens that end a text."""
        return _token_list(library.fovea_model_end_of_text_tokens, self._handle)

    @property
    def tokenizer(self) -> "Tokenizer":
        """The tokenizer of the model's folder."""
        handle = ctypes.c_void_p()
        call(library.fovea_model_tokenizer, self._handle, ctypes.byref(handle))
        return Tokenizer(handle)

    def chat_prompt(self, messages: list, *, tools: list | None = None, add_generation_prompt: bool = True) -> str:
        """The prompt of a conversation, a list of {"role": ..., "content": ...}; encode it without special tokens."""
        tools_text = None if tools is None else json.dumps(tools).encode()
        return _text(
            library.fovea_model_chat_prompt, self._handle, json.dumps(messages).encode(), tools_text,
            int(add_generation_prompt))

    def session(self) -> "Session":
        """An empty text."""
        return Session(self)


class Tokenizer(_Handle):
    """Text to token ids and back."""

    def __init__(self, folder) -> None:
        handle = folder
        if not isinstance(folder, ctypes.c_void_p):
            handle = ctypes.c_void_p()
            call(library.fovea_tokenizer_load, os.fsencode(folder), ctypes.byref(handle))
        super().__init__(handle, library.fovea_tokenizer_free)

    @property
    def properties(self) -> dict:
        """The number of tokens, and the special ones; -1 where there is none."""
        properties = sized(TokenizerProperties)
        call(library.fovea_tokenizer_get_properties, self._handle, ctypes.byref(properties))
        return properties.as_dictionary()

    def encode(self, text: str, *, add_special_tokens: bool = True, parse_special_tokens: bool = True) -> list:
        """The token ids of `text`."""
        flags = (0 if add_special_tokens else 1) + (0 if parse_special_tokens else 2)
        data = text.encode()
        return _token_list(library.fovea_tokenizer_encode, self._handle, data, len(data), flags)

    def decode(self, tokens, *, skip_special_tokens: bool = True) -> str:
        """The text of token ids."""
        return _text(
            library.fovea_tokenizer_decode, self._handle, *_tokens(tokens), 0 if skip_special_tokens else 4)

    def piece(self, token: int) -> str:
        """The vocabulary's spelling of a token."""
        return _text(library.fovea_tokenizer_piece, self._handle, token)

    def detokenizer(self, *, skip_special_tokens: bool = True) -> "Detokenizer":
        """A decoder of one text that takes token by token."""
        handle = ctypes.c_void_p()
        flags = 0 if skip_special_tokens else 4
        call(library.fovea_detokenizer_create, self._handle, flags, ctypes.byref(handle))
        return Detokenizer(handle, library.fovea_detokenizer_free)


class Detokenizer(_Handle):
    """Puts a text together from tokens that come one at a time."""

    def append(self, token: int) -> str:
        """Takes the next token and gives the text that is certain now."""
        return _text(library.fovea_detokenizer_append, self._handle, token)

    def finish(self) -> str:
        """Ends the text and gives what is left of it."""
        return _text(library.fovea_detokenizer_finish, self._handle)


class Generation(typing.NamedTuple):
    """What was generated."""

    text: str
    tokens: list
    log_probabilities: list
    finish_reason: str
    seed: int
    prompt_token_count: int


class Session(_Handle):
    """One text that a model has read, with its cache. One call at a time; another one raises FoveaError."""

    def __init__(self, model: Model) -> None:
        handle = ctypes.c_void_p()
        call(library.fovea_session_create, model._handle, ctypes.byref(handle))
        super().__init__(handle, library.fovea_session_free)
        self._model = model
        self._vocabulary_size = model.properties["vocabulary_size"]

    def __len__(self) -> int:
        count = ctypes.c_size_t()
        call(library.fovea_session_length, self._handle, ctypes.byref(count))
        return count.value

    @property
    def tokens(self) -> list:
        """What the model has read."""
        return _token_list(library.fovea_session_tokens, self._handle)

    def evaluate(self, tokens, *, logits: str = "last"):
        """Reads `tokens`; gives float32 [rows, vocabulary_size]: of the "last" token, "all", or "none" at all."""
        data, count = _tokens(tokens)
        rows = {"none": 0, "last": min(1, count), "all": count}.get(logits, 0)
        buffer = (ctypes.c_float * (rows * self._vocabulary_size))()
        call(
            library.fovea_session_evaluate, self._handle, data, count, _choice("logits", logits, _LOGITS), buffer,
            len(buffer), None)
        return _floats(buffer, (rows, self._vocabulary_size)) if rows else None

    def evaluate_into(self, tokens, output, *, logits: str = "last"):
        """The same, written to a float32 array [rows, vocabulary_size] of any library that speaks DLPack."""
        borrowed = Borrowed(output)
        call(
            library.fovea_session_evaluate_tensor, self._handle, *_tokens(tokens),
            _choice("logits", logits, _LOGITS), borrowed.pointer)
        return output

    def trim(self, length: int) -> None:
        """Forgets every token from `length` on."""
        call(library.fovea_session_trim, self._handle, length)

    def reset(self) -> None:
        """Forgets everything."""
        call(library.fovea_session_reset, self._handle)

    def save(self, path) -> None:
        """Writes what the model has read to a file, whole or not at all."""
        call(library.fovea_session_save, self._handle, os.fsencode(path))

    def restore(self, path) -> None:
        """Goes on with what a file holds, of the same model in the same precision."""
        call(library.fovea_session_restore, self._handle, os.fsencode(path))

    def generate(self, prompt="", *, stop=(), seed: int | None = None, on_piece=None, **options) -> Generation:
        """Generates what follows a prompt, text or token ids; an empty one goes on with what the session holds.

        `options` are the fields of fovea_generation_options, such as max_tokens, temperature or top_k; the model's own
        where they are not given. `on_piece(text, token)` gets the text as it is made, and ends it by giving False.
        """
        settings = sized(GenerationOptions)
        call(library.fovea_model_generation_defaults, self._model._handle, ctypes.byref(settings))
        settings.set(**options)
        strings = [string.encode() for string in stop]
        settings.stop_strings = (ctypes.c_char_p * len(strings))(*strings)
        settings.stop_string_count = len(strings)
        if seed is not None:
            settings.seed, settings.has_seed = seed, 1
        texts, tokens, log_probabilities, faults = [], [], [], []

        @PieceCallback
        def take(piece, _):
            # An exception may not leave the callback.
            try:
                text = ctypes.string_at(piece.contents.text, piece.contents.byte_count).decode()
                texts.append(text)
                if piece.contents.token >= 0:
                    tokens.append(piece.contents.token)
                    log_probabilities.append(piece.contents.log_probability)
                return 1 if on_piece and on_piece(text, piece.contents.token) is False else 0
            except BaseException as fault:
                faults.append(fault)
                return 1

        summary = sized(GenerationSummary)
        rest = (ctypes.byref(settings), take, None, ctypes.byref(summary))
        if isinstance(prompt, str) and prompt:
            data = prompt.encode()
            call(library.fovea_session_generate_text, self._handle, data, len(data), *rest)
        else:
            call(library.fovea_session_generate, self._handle, *_tokens(prompt), *rest)
        if faults:
            raise faults[0]
        return Generation(
            "".join(texts), tokens, log_probabilities, _FINISH_REASONS[summary.finish_reason], summary.seed,
            summary.prompt_token_count)


class Embeddings(typing.NamedTuple):
    """float32 [texts, dimensions], and how many tokens were cut off the end of each text."""

    vectors: typing.Any
    truncated_token_counts: list


class Embedder(_Handle):
    """Texts in, vectors out: a folder of sentence-transformers, or any checkpoint."""

    def __init__(self, folder, *, threads: int = 0, precision: str = "native") -> None:
        super().__init__(
            _load(library.fovea_embedder_load, folder, threads, precision), library.fovea_embedder_free)

    @property
    def properties(self) -> dict:
        """Sizes and limits; the names are those of fovea.h."""
        properties = sized(EmbedderProperties)
        call(library.fovea_embedder_get_properties, self._handle, ctypes.byref(properties))
        return properties.as_dictionary()

    def embed(
        self, texts: list, *, prompt: str | None = None, prompt_name: str | None = None, dimensions: int = 0,
        normalize: bool | None = None, refuse_truncation: bool = False,
    ) -> Embeddings:
        """The vectors of texts, in their order. `prompt` is put before each; `prompt_name` is one of the model's."""
        if not texts:
            return Embeddings([], [])
        options = sized(
            EmbeddingOptions, dimensions=dimensions, refuse_truncation=int(refuse_truncation),
            normalization={None: 0, True: 1, False: 2}[normalize])
        if prompt is not None:
            options.prompt_kind, options.prompt = (3, prompt.encode()) if prompt else (1, None)
        elif prompt_name is not None:
            options.prompt_kind, options.prompt = 2, prompt_name.encode()
        encoded = [text.encode() for text in texts]
        pointers = (ctypes.c_char_p * len(encoded))(*encoded)
        byte_counts = (ctypes.c_size_t * len(encoded))(*map(len, encoded))
        truncated = (ctypes.c_int32 * len(encoded))()
        arguments = (self._handle, pointers, byte_counts, len(encoded), ctypes.byref(options))
        count = ctypes.c_size_t()
        call(library.fovea_embedder_embed, *arguments, None, 0, ctypes.byref(count), None)
        buffer = (ctypes.c_float * count.value)()
        call(library.fovea_embedder_embed, *arguments, buffer, count.value, None, truncated)
        return Embeddings(_floats(buffer, (len(encoded), count.value // len(encoded))), list(truncated))


def prepare(queries, keys, values, scale, output, *, mask=None, sinks=None, window=0, soft_cap=0.0, threads=0):
    """A function without arguments that does what `attention` does: to call often what is described once."""
    borrowed = [Borrowed(item) for item in (queries, keys, values, output)]
    options = sized(AttentionOptions, window=window, soft_cap=soft_cap, thread_count=threads)
    if isinstance(mask, str):
        if mask != "causal":
            raise ValueError(f"mask is '{mask}', expected None, 'causal' or an array")
        options.mask_kind = 1
    elif mask is not None:
        borrowed.append(Borrowed(mask))
        options.mask_kind, options.mask = 2, borrowed[-1].pointer
    if sinks is not None:
        borrowed.append(Borrowed(sinks))
        options.sinks = borrowed[-1].pointer

    def attend():
        q, k, v, o = (item.pointer for item in borrowed[:4])
        call(library.fovea_attention, q, k, v, scale, ctypes.byref(options), o, None)
        return output

    return attend


def attention(queries, keys, values, scale, output, **options):
    """Writes softmax(scale * queries * keys^T + mask) * values to `output`, all of them DLPack arrays on the CPU.

    Options: mask (None, "causal", or an array, Boolean or added to the scores), sinks, window, soft_cap, threads.
    Raises FoveaError, a ValueError, with the library's text.
    """
    return prepare(queries, keys, values, scale, output, **options)()
