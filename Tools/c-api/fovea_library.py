"""libFoveaC as ctypes sees it: the structs and functions of fovea.h, and the description of arrays."""

import ctypes
import os
import pathlib
import sys
from ctypes import POINTER, c_char, c_char_p, c_double, c_float, c_int32, c_int64, c_size_t, c_uint64, c_void_p

_CPU, _FLOAT, _BOOL = 1, 2, 6


class FoveaError(ValueError):
    """A call that failed: `status` is that of fovea.h, the text what was wrong."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class _Struct(ctypes.Structure):
    """A struct of options or properties."""

    def as_dictionary(self) -> dict:
        """The fields but the size, texts decoded."""
        values = {name: getattr(self, name) for name, *_ in self._fields_ if name != "struct_size"}
        return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}

    def set(self, **values) -> None:
        """Sets fields; TypeError for one that there is not."""
        names = {name for name, *_ in self._fields_}
        for name, value in values.items():
            if name not in names:
                raise TypeError(f"there is no option '{name}'")
            setattr(self, name, value)


def _struct(name: str, *fields) -> type:
    return type(name, (_Struct,), {"_fields_": [("struct_size", c_size_t), *fields]})


def sized(struct: type, **values) -> _Struct:
    """A struct of zeros but for its size and `values`."""
    result = struct()
    result.set(struct_size=ctypes.sizeof(struct), **values)
    return result


class _Device(ctypes.Structure):
    _fields_ = [("device_type", c_int32), ("device_id", c_int32)]


class _DataType(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", c_void_p), ("device", _Device), ("ndim", c_int32), ("dtype", _DataType), ("shape", POINTER(c_int64)),
        ("strides", POINTER(c_int64)), ("byte_offset", c_uint64)]


_tensor = POINTER(_Tensor)

AttentionOptions = _struct(
    "AttentionOptions", ("mask_kind", c_int32), ("thread_count", c_int32), ("mask", _tensor), ("sinks", _tensor),
    ("window", c_int64), ("soft_cap", c_float), ("packed_lengths", POINTER(c_int64)), ("packed_length_count", c_size_t))
LoadOptions = _struct("LoadOptions", ("thread_count", c_int32), ("precision", c_int32))
ModelProperties = _struct(
    "ModelProperties",
    *((name, c_int64) for name in (
        "vocabulary_size", "context_length", "layer_count", "hidden_size", "head_count", "key_value_head_count",
        "head_dimension", "parameter_count", "weight_byte_count", "cache_byte_count_per_token")),
    *((name, c_int32) for name in (
        "beginning_of_text_token", "thread_count", "has_tokenizer", "has_chat_template")),
    ("model_type", c_char * 64), ("weight_type", c_char * 32), ("instruction_set", c_char * 32))
TokenizerProperties = _struct(
    "TokenizerProperties", ("vocabulary_size", c_int64), ("beginning_of_text_token", c_int32),
    ("end_of_text_token", c_int32), ("unknown_token", c_int32), ("padding_token", c_int32))
GenerationOptions = _struct(
    "GenerationOptions", ("max_tokens", c_int64), ("temperature", c_double), ("top_k", c_int64), ("top_p", c_double),
    ("min_p", c_double), ("repetition_penalty", c_double), ("repetition_window", c_int64),
    ("frequency_penalty", c_double), ("presence_penalty", c_double), ("seed", c_uint64), ("has_seed", c_int32),
    ("ignore_end_of_text", c_int32), ("stop_strings", POINTER(c_char_p)), ("stop_string_count", c_size_t))
GenerationSummary = _struct(
    "GenerationSummary", ("finish_reason", c_int32), ("stop_string_index", c_int32), ("prompt_token_count", c_int64),
    ("generated_token_count", c_int64), ("seed", c_uint64), ("prompt_seconds", c_double),
    ("generation_seconds", c_double))
EmbedderProperties = _struct(
    "EmbedderProperties", ("dimensions", c_int64), ("sequence_length_limit", c_int64), ("vocabulary_size", c_int64),
    ("thread_count", c_int32), ("similarity", c_char * 32), ("default_prompt", c_char * 64),
    ("instruction_set", c_char * 32))
EmbeddingOptions = _struct(
    "EmbeddingOptions", ("prompt_kind", c_int32), ("normalization", c_int32), ("prompt", c_char_p),
    ("dimensions", c_int64), ("batch_token_count", c_int64), ("refuse_truncation", c_int32))


class _Piece(ctypes.Structure):
    # A plain address: ctypes would copy a c_char_p up to its first zero byte.
    _fields_ = [("text", c_void_p), ("byte_count", c_size_t), ("token", c_int32), ("log_probability", c_float)]


PieceCallback = ctypes.CFUNCTYPE(c_int32, POINTER(_Piece), c_void_p)

_handle, _new, _count, _ids = c_void_p, POINTER(c_void_p), POINTER(c_size_t), POINTER(c_int32)
_floats, _flag = POINTER(c_float), c_int32
_text_result = (c_char_p, c_size_t, _count)
_id_result = (_ids, c_size_t, _count)
_generation = (POINTER(GenerationOptions), PieceCallback, c_void_p, POINTER(GenerationSummary))

_FUNCTIONS = {
    "attention": (_tensor, _tensor, _tensor, c_float, POINTER(AttentionOptions), _tensor, _tensor),
    "model_load": (c_char_p, POINTER(LoadOptions), _new),
    "model_free": (_handle,),
    "model_get_properties": (_handle, POINTER(ModelProperties)),
    "model_end_of_text_tokens": (_handle, *_id_result),
    "model_tokenizer": (_handle, _new),
    "model_chat_prompt": (_handle, c_char_p, c_char_p, _flag, *_text_result),
    "model_generation_defaults": (_handle, POINTER(GenerationOptions)),
    "tokenizer_load": (c_char_p, _new),
    "tokenizer_free": (_handle,),
    "tokenizer_get_properties": (_handle, POINTER(TokenizerProperties)),
    "tokenizer_encode": (_handle, c_char_p, c_size_t, _flag, *_id_result),
    "tokenizer_decode": (_handle, _ids, c_size_t, _flag, *_text_result),
    "tokenizer_piece": (_handle, c_int32, *_text_result),
    "detokenizer_create": (_handle, _flag, _new),
    "detokenizer_free": (_handle,),
    "detokenizer_append": (_handle, c_int32, *_text_result),
    "detokenizer_finish": (_handle, *_text_result),
    "session_create": (_handle, _new),
    "session_free": (_handle,),
    "session_evaluate": (_handle, _ids, c_size_t, c_int32, _floats, c_size_t, _count),
    "session_evaluate_tensor": (_handle, _ids, c_size_t, c_int32, _tensor),
    "session_length": (_handle, _count),
    "session_tokens": (_handle, *_id_result),
    "session_trim": (_handle, c_size_t),
    "session_reset": (_handle,),
    "session_save": (_handle, c_char_p),
    "session_restore": (_handle, c_char_p),
    "session_generate": (_handle, _ids, c_size_t, *_generation),
    "session_generate_text": (_handle, c_char_p, c_size_t, *_generation),
    "embedder_load": (c_char_p, POINTER(LoadOptions), _new),
    "embedder_free": (_handle,),
    "embedder_get_properties": (_handle, POINTER(EmbedderProperties)),
    "embedder_embed": (
        _handle, POINTER(c_char_p), _count, c_size_t, POINTER(EmbeddingOptions), _floats, c_size_t, _count, _ids),
}


def _load() -> ctypes.CDLL:
    root = pathlib.Path(__file__).resolve().parents[2]
    suffix = "dylib" if sys.platform == "darwin" else "so"
    path = os.environ.get("FOVEA_LIBRARY", str(root / f".build/release/libFoveaC.{suffix}"))
    loaded = ctypes.CDLL(path)
    for name, types in _FUNCTIONS.items():
        function = getattr(loaded, f"fovea_{name}")
        function.argtypes, function.restype = types, c_int32
    for name in ("last_error", "version"):
        getattr(loaded, f"fovea_{name}").restype = c_char_p
    return loaded


library = _load()
_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.argtypes = [ctypes.py_object, c_char_p]
_capsule_pointer.restype = c_void_p


def call(function, *arguments) -> None:
    """Calls a function of the library; FoveaError if it fails."""
    status = function(*arguments)
    if status != 0:
        raise FoveaError(status, library.fovea_last_error().decode())


class Borrowed:
    """The DLTensor of an array, and what keeps its memory alive."""

    _FORMATS = {"f": (_FLOAT, 32), "d": (_FLOAT, 64), "e": (_FLOAT, 16), "?": (_BOOL, 8)}

    def __init__(self, array) -> None:
        self.array = array
        if hasattr(array, "__dlpack__"):
            # A capsule that is never taken over frees its own description when it goes.
            self.capsule = array.__dlpack__()
            self.pointer = ctypes.cast(_capsule_pointer(self.capsule, b"dltensor"), _tensor)
        else:
            self.pointer = ctypes.pointer(self._describe(memoryview(array)))

    def _describe(self, view: memoryview) -> _Tensor:
        """The description of a buffer that is contiguous and may be written."""
        if view.format not in self._FORMATS:
            raise ValueError(f"the buffer's format is '{view.format}', expected one of {', '.join(self._FORMATS)}")
        self.memory = (c_char * view.nbytes).from_buffer(view)
        self.shape = (c_int64 * view.ndim)(*view.shape)
        code, bits = self._FORMATS[view.format]
        return _Tensor(
            data=ctypes.addressof(self.memory), device=_Device(_CPU, 0), ndim=view.ndim,
            dtype=_DataType(code, bits, 1), shape=self.shape, strides=None, byte_offset=0)
