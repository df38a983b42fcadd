// Products with quantised weights for NEON with the dot instruction of bytes.
#if defined(__aarch64__)
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#define QUANTIZED_LINEAR fovea_quantized_linear_dotprod
#define BYTE_DOT 1
#include "quantized_neon.h"
#pragma clang attribute pop
#endif
