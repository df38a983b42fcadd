// Products with quantised weights for AVX2 with the byte dot instruction of AVX-VNNI.
#if defined(__x86_64__)
#include "tables.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)
#include "quantized_bytes.h"

#define QUANTIZED_LINEAR fovea_quantized_linear_avxvnni
#define BYTE_DOT 1
#include "quantized_bytes_products.h"
#pragma clang attribute pop
#endif
