// The kernels for NEON: every Armv8-A processor.
#if defined(__aarch64__)
#include "tables.h"

#include "vector_neon.h"

#include "exponential_template.h"
#include "elementwise_template.h"
#include "attention_merge.h"
#include "coded_rounding.h"

// 4 x 4 accumulators + 4 activations + 1 weight of 32 registers.
#define LINEAR_ROWS 4
#define LINEAR_COLUMNS 4
#define LINEAR_ROW1_COLUMNS 8
// A chain takes 8 or 16 bytes of weights each 4 cycles.
#define LINEAR_ROW1_STREAMS(weight_bytes) 4
#define LINEAR_ACCUMULATORS 16
// 12 x 2 accumulators + 2 weights + 1 activation.
#define LINEAR_TILE_ROWS 12
#define LINEAR_LEAST_PACKED_ROWS 48
#define LINEAR_LEAST_PACKED_ROWS_LONG 24
#define LINEAR_PANEL_VECTORS 2
#define LINEAR_PANEL_UNROLL 1
#define LINEAR_PAIR_STEPS 80
#include "linear_kernels.h"

#define PANEL_VECTORS 4
#define NAME(x) x##_float32
#define PER_LANE 1
#define MULTIPLY_ADD(acc, a, b) v_fma(a, b, acc)
#include "attention_template.h"
#define INT16_DOT i_dot_int16
#include "packed_linear_kernels.h"

#define CODED_KEY_VECTORS 2
#define CODED_VALUE_VECTORS(rows) 2
#include "coded_attention_template.h"

const fovea_kernels fovea_kernels_neon = {
    .name = "neon",
#define ACTIVATION_CODES fovea_activation_codes_neon
#define QUANTIZED_LINEAR fovea_quantized_linear_neon
#define PACKED_LINEAR_INT16 packed_linear_int16
#include "kernel_table.h"
    .attention_rows[FOVEA_TILE_FLOAT32] = attention_rows_float32,
};

// With the dot instruction of bytes: every Apple processor, Arm Cortex-A76 and Neoverse N1 (2018), and later.
const fovea_kernels fovea_kernels_dotprod = {
    .name = "dotprod",
#define ACTIVATION_CODES fovea_activation_codes_neon
#define QUANTIZED_LINEAR fovea_quantized_linear_dotprod
#define PACKED_LINEAR_INT16 packed_linear_int16
#include "kernel_table.h"
    .attention_rows[FOVEA_TILE_FLOAT32] = attention_rows_float32,
};
#endif
