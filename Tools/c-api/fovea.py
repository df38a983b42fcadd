"""Fovea's attention op on arrays of NumPy, PyTorch, MLX and whatever else speaks DLPack, without a copy.

The library is found through FOVEA_LIBRARY, else in this repository's release build.
"""

import ctypes
import os
import pathlib

_CPU = 1


class _Device(ctypes.Structure):
    _fields_ = [("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32)]


class _DataType(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p), ("device", _Device), ("ndim", ctypes.c_int32), ("dtype", _DataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _Options(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t), ("mask_kind", ctypes.c_int32), ("thread_count", ctypes.c_int32),
        ("mask", ctypes.POINTER(_Tensor)), ("sinks", ctypes.POINTER(_Tensor)), ("window", ctypes.c_int64),
        ("soft_cap", ctypes.c_float), ("packed_lengths", ctypes.POINTER(ctypes.c_int64)),
        ("packed_length_count", ctypes.c_size_t),
    ]


def _load() -> ctypes.CDLL:
    root = pathlib.Path(__file__).resolve().parents[2]
    path = os.environ.get("FOVEA_LIBRARY", str(root / ".build/release/libFoveaC.so"))
    library = ctypes.CDLL(path)
    pointer = ctypes.POINTER(_Tensor)
    library.fovea_attention.argtypes = [
        pointer, pointer, pointer, ctypes.c_float, ctypes.POINTER(_Options), pointer, pointer]
    library.fovea_attention.restype = ctypes.c_int32
    library.fovea_last_error.restype = ctypes.c_char_p
    return library


_library = _load()
_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_capsule_pointer.restype = ctypes.c_void_p


class _Borrowed:
    """The DLTensor of an array, and what keeps its memory alive."""

    def __init__(self, array) -> None:
        self.array = array
        # A capsule that is never taken over frees its own description when it goes.
        self.capsule = array.__dlpack__()
        self.pointer = ctypes.cast(_capsule_pointer(self.capsule, b"dltensor"), ctypes.POINTER(_Tensor))


def prepare(queries, keys, values, scale, output, *, mask=None, sinks=None, window=0, soft_cap=0.0, threads=0):
    """A function without arguments that does what `attention` does: to call often what is described once."""
    borrowed = [_Borrowed(array) for array in (queries, keys, values, output)]
    options = _Options(struct_size=ctypes.sizeof(_Options), window=window, soft_cap=soft_cap, thread_count=threads)
    if isinstance(mask, str):
        if mask != "causal":
            raise ValueError(f"mask is '{mask}', expected None, 'causal' or an array")
        options.mask_kind = 1
    elif mask is not None:
        borrowed.append(_Borrowed(mask))
        options.mask_kind, options.mask = 2, borrowed[-1].pointer
    if sinks is not None:
        borrowed.append(_Borrowed(sinks))
        options.sinks = borrowed[-1].pointer

    def call():
        q, k, v, o = (item.pointer for item in borrowed[:4])
        if _library.fovea_attention(q, k, v, scale, ctypes.byref(options), o, None) != 0:
            raise ValueError(_library.fovea_last_error().decode())
        return output

    return call


def attention(queries, keys, values, scale, output, **options):
    """Writes softmax(scale * queries * keys^T + mask) * values to `output`, all of them DLPack arrays on the CPU.

    Options: mask (None, "causal", or an array, Boolean or added to the scores), sinks, window, soft_cap, threads.
    Raises ValueError with the library's text.
    """
    return prepare(queries, keys, values, scale, output, **options)()
