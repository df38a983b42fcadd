// The kernels for AVX-512 (F, BW, VL, DQ): Intel Skylake-X (2017), AMD Zen 4 (2022), and later.
#if defined(__x86_64__)
#include "tables.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq"))), apply_to = function)
#include "vector_avx512.h"

#include "exponential_template.h"
#include "elementwise_template.h"
#include "attention_merge.h"
#include "coded_rounding.h"

// 4 x 4 accumulators + 4 activations + 1 weight of 32 registers: 8 loads feed 16 multiply-adds, and the 16 sums are
// reduced together. One row takes 16 weight rows at once for the latter.
#define LINEAR_ROWS 4
#define LINEAR_COLUMNS 4
#define LINEAR_ROW1_COLUMNS 16
#define LINEAR_ROW1_STREAMS(weight_bytes) 1
// With hints to the second-level cache, too, Intel reads weights out of memory in 6 to 13 % less time.
#define LINEAR_SECOND_LEVEL_AHEAD 16384
#define LINEAR_ACCUMULATORS 16
// 12 x 2 accumulators + 2 weights + 1 activation: 14 loads feed 24 multiply-adds. With 10 rows in place
// it is 24, as many as two ports bring in that time, of which 4 are instructions of their own.
#define LINEAR_TILE_ROWS 12
#define LINEAR_LEAST_PACKED_ROWS 18
#define LINEAR_LEAST_PACKED_ROWS_LONG 18
#define LINEAR_PANEL_VECTORS 2
#define LINEAR_PANEL_UNROLL 4
#define LINEAR_PAIR_STEPS 0
#define LINEAR_IN_PLACE_ROWS(rows) ((rows)*5 / 6)
#include "linear_kernels.h"

#define PANEL_VECTORS 4
// Likewise for keys and values, in 8 to 16 % less; out of a cache they come fastest with hints half as far as elsewhere.
#define ATTENTION_BYTES_AHEAD 4096
#define ATTENTION_SECOND_LEVEL_AHEAD 16384
#define NAME(x) x##_float32
#define PER_LANE 1
#define MULTIPLY_ADD(acc, a, b) v_fma(a, b, acc)
#include "attention_template.h"
#define INT16_DOT i_dot_int16
#include "packed_linear_kernels.h"

// sums + the dot product of the four unsigned bytes of a lane of `codes` and the signed ones of `factors`.
static inline I i_dot(I sums, I codes, I factors) {
  __m512i even = _mm512_and_si512(codes, _mm512_set1_epi16(0x00FF)), odd = _mm512_srli_epi16(codes, 8);
  __m512i even_factors = _mm512_srai_epi16(_mm512_slli_epi16(factors, 8), 8);
  __m512i odd_factors = _mm512_srai_epi16(factors, 8);
  __m512i pairs = _mm512_add_epi32(_mm512_madd_epi16(even, even_factors), _mm512_madd_epi16(odd, odd_factors));
  return _mm512_add_epi32(sums, pairs);
}
#define CODED_KEY_VECTORS 2
#define CODED_VALUE_VECTORS(rows) ((rows) <= 3 ? 4 : 2)
#include "coded_attention_template.h"

const fovea_kernels fovea_kernels_avx512 = {
    .name = "avx512",
#define ACTIVATION_CODES fovea_activation_codes_avx2
#define QUANTIZED_LINEAR fovea_quantized_linear_avx2
#define PACKED_LINEAR_INT16 packed_linear_int16
#include "kernel_table.h"
    .attention_rows[FOVEA_TILE_FLOAT32] = attention_rows_float32,
};
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))), apply_to = function)
#define NAME(x) x##_int16_vnni
#define MULTIPLY_ADD(acc, a, w) (V)i_dot_int16_vnni((I)(acc), (I)(a), (I)(w))
#define GROUP_STEPS (FOVEA_INT16_GROUP / 2)
#include "packed_linear_template.h"

// With the dot instructions of integers: Intel Cascade Lake (2019), Ice Lake, and later.
const fovea_kernels fovea_kernels_avx512vnni = {
    .name = "avx512vnni",
#define ACTIVATION_CODES fovea_activation_codes_avx512vnni
#define QUANTIZED_LINEAR fovea_quantized_linear_avx512vnni
#define PACKED_LINEAR_INT16 packed_linear_int16_vnni
#include "kernel_table.h"
    .attention_rows[FOVEA_TILE_FLOAT32] = attention_rows_float32,
};
#pragma clang attribute pop
#endif
