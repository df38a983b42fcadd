// The kernels for AVX-512 (F, BW, VL, DQ): Intel Skylake-X (2017), AMD Zen 4 (2022), and later.
#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq"))), apply_to = function)
#include "vector_avx512.h"

#include "exponential_template.h"
#include "elementwise_template.h"
#include "attention_merge.h"
#include "quantized_generic.h"

// 4 x 4 accumulators + 4 activations + 1 weight of 32 registers: 8 loads feed 16 multiply-adds, and the 16 sums are
// reduced together. One row takes 16 weight rows at once for the latter.
#define LINEAR_ROWS 4
#define LINEAR_COLUMNS 4
#define LINEAR_ROW1_COLUMNS 16
#define LINEAR_ACCUMULATORS 16
#include "linear_kernels.h"

#define PANEL_VECTORS 4
#define NAME(x) x##_float32
#define PER_LANE 1
#define MULTIPLY_ADD(acc, a, b) v_fma(a, b, acc)
#include "attention_template.h"
#include "packed_linear_template.h"

const fovea_kernels fovea_kernels_avx512 = {
    .name = "avx512",
#define QUANTIZED(name) name
#include "kernel_table.h"
    .attention_rows[FOVEA_TILE_FLOAT32] = attention_rows_float32,
};
#pragma clang attribute pop
#endif
