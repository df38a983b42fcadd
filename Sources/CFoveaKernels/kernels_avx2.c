// The kernels for AVX2 with FMA and F16C: Intel Haswell (2013), AMD Excavator and Zen, and later.
#if defined(__x86_64__)
#include "tables.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "vector_avx2.h"

#include "exponential_template.h"
#include "elementwise_template.h"
#include "attention_merge.h"
#include "coded_rounding.h"

// 3 x 4 accumulators + 3 activations + 1 weight fill the 16 registers; one row has 8 columns a tile, as many as v_reduce
// takes.
#define LINEAR_ROWS 3
#define LINEAR_COLUMNS 4
#define LINEAR_ROW1_COLUMNS 8
// A chain takes 16 bytes of 16-bit weights each 4 cycles: too few for the memory's pace, unless four columns are walked
// at once.
#define LINEAR_ROW1_STREAMS(weight_bytes) ((weight_bytes) == 2 ? 4 : 1)
#define LINEAR_ACCUMULATORS 16
// 6 x 2 accumulators + 2 weights + 1 activation. The fewer instructions beside the multiply-adds, the better: where two
// threads share a core each gets three a cycle.
#define LINEAR_TILE_ROWS 6
// Rows as they lie keep no more than a few outputs in so few registers.
#define LINEAR_LEAST_PACKED_ROWS 16
#define LINEAR_LEAST_PACKED_ROWS_LONG 16
#define LINEAR_PANEL_VECTORS 2
#define LINEAR_PANEL_UNROLL 4
#define LINEAR_PAIR_STEPS 0
#include "linear_kernels.h"

#define PANEL_VECTORS 2
#define NAME(x) x##_float32
#define PER_LANE 1
#define MULTIPLY_ADD(acc, a, b) v_fma(a, b, acc)
#include "attention_template.h"
#define INT16_DOT i_dot_int16
#include "packed_linear_kernels.h"

#define CODED_KEY_VECTORS 1
#define CODED_VALUE_VECTORS(rows) 1
#include "coded_attention_template.h"

const fovea_kernels fovea_kernels_avx2 = {
    .name = "avx2",
#define ACTIVATION_CODES fovea_activation_codes_avx2
#define QUANTIZED_LINEAR fovea_quantized_linear_avx2
#define PACKED_LINEAR_INT16 packed_linear_int16
#include "kernel_table.h"
    .attention_rows[FOVEA_TILE_FLOAT32] = attention_rows_float32,
};
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)
#define NAME(x) x##_int16_vnni
#define MULTIPLY_ADD(acc, a, w) (V)i_dot_int16_vnni((I)(acc), (I)(a), (I)(w))
#define GROUP_STEPS (FOVEA_INT16_GROUP / 2)
#include "packed_linear_template.h"

// With the dot instructions of integers: Intel Alder Lake (2021), AMD Zen 5 (2024), and later.
const fovea_kernels fovea_kernels_avxvnni = {
    .name = "avxvnni",
#define ACTIVATION_CODES fovea_activation_codes_avx2
#define QUANTIZED_LINEAR fovea_quantized_linear_avxvnni
#define PACKED_LINEAR_INT16 packed_linear_int16_vnni
#include "kernel_table.h"
    .attention_rows[FOVEA_TILE_FLOAT32] = attention_rows_float32,
};
#pragma clang attribute pop
#endif
