// The kernels for AVX-512 with the dot products of bfloat16 and of bytes: Intel Cooper Lake (2020), AMD Zen 4 (2022), and later.
#if defined(__x86_64__)
#include "tables.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512vnni"))), apply_to = function)
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
#define LINEAR_ACCUMULATORS 16
// 12 x 2 accumulators + 2 weights + 1 activation: 14 loads feed 24 multiply-adds.
#define LINEAR_TILE_ROWS 12
#define LINEAR_LEAST_PACKED_ROWS 48
#define LINEAR_LEAST_PACKED_ROWS_LONG 24
#define LINEAR_PANEL_VECTORS 2
#define LINEAR_PANEL_UNROLL 1
#define LINEAR_PAIR_STEPS 80
#define LINEAR_WITHOUT_BFLOAT16_PAIRS
#include "linear_kernels.h"

#define NAME(x) x##_bfloat16
#define MULTIPLY_ADD(acc, a, w) _mm512_dpbf16_ps(acc, (__m512bh)(a), (__m512bh)(w))
#include "linear_panel_template.h"

#define LINEAR_NAME linear_bf16_bf16
#define PACK_ROWS_NAME pack_rows_bf16
#define ACTIVATION uint16_t
#define WEIGHT uint16_t
#define STEP 32
#define OPERAND __m512bh
#define LOAD_ACTIVATION(p) (__m512bh)_mm512_loadu_si512(p)
#define LOAD_ACTIVATION_FIRST(p, count) (__m512bh)_mm512_maskz_loadu_epi16((__mmask32)((1u << (count)) - 1u), p)
#define LOAD_WEIGHT(p) LOAD_ACTIVATION(p)
#define LOAD_WEIGHT_FIRST(p, count) LOAD_ACTIVATION_FIRST(p, count)
#define MULTIPLY_ADD(acc, a, w) _mm512_dpbf16_ps(acc, a, w)
#define MULTIPLY_PANEL multiply_panel_bfloat16
#include "linear_template.h"

#define PANEL_VECTORS 4
#define NAME(x) x##_float32
#define PER_LANE 1
#define MULTIPLY_ADD(acc, a, b) v_fma(a, b, acc)
#include "attention_template.h"
#define INT16_DOT i_dot_int16_vnni
#include "packed_linear_kernels.h"

// sums + the dot product of the four unsigned bytes of a lane of `codes` and the signed ones of `factors`.
static inline I i_dot(I sums, I codes, I factors) { return _mm512_dpbusd_epi32(sums, codes, factors); }
#define CODED_KEY_VECTORS 2
#define CODED_VALUE_VECTORS(rows) ((rows) <= 3 ? 4 : 2)
#include "coded_attention_template.h"

static inline V v_load_pairs(const uint16_t *p) { return v_load((const float *)p); }
static inline V v_load_first_pairs(const uint16_t *p, size_t count) {
  return _mm512_castsi512_ps(_mm512_maskz_loadu_epi16((__mmask32)((1ull << count) - 1), p));
}
// Lane i holds element i of `even` in its lower and of `odd` in its upper half; null reads as zeros.
static inline V v_interleave(const uint16_t *even, const uint16_t *odd, size_t count) {
  __m512i low = _mm512_setzero_si512(), high = low;
  if (even) low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first_lanes(count), even));
  if (odd) high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first_lanes(count), odd));
  return _mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
}
// Pairs of 32 elements of `even` and of `odd` (or zero): part[0] and part[1] hold them in an order that takes one
// instruction each; v_restore brings lanes of that order back into the elements' own.
static inline __attribute__((always_inline)) void v_unpack_vectors(__m512i even, __m512i odd, V part[2]) {
  part[0] = _mm512_castsi512_ps(_mm512_unpacklo_epi16(even, odd));
  part[1] = _mm512_castsi512_ps(_mm512_unpackhi_epi16(even, odd));
}
static inline __attribute__((always_inline)) void v_unpack(const uint16_t *even, const uint16_t *odd, V part[2]) {
  v_unpack_vectors(_mm512_loadu_si512(even), _mm512_loadu_si512(odd), part);
}
static inline __attribute__((always_inline)) void v_unpack_single(const uint16_t *even, V part[2]) {
  v_unpack_vectors(_mm512_loadu_si512(even), _mm512_setzero_si512(), part);
}
static inline void v_restore(V part[2]) {
  const __m512i first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const __m512i second = _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
  V low = _mm512_permutex2var_ps(part[0], first, part[1]), high = _mm512_permutex2var_ps(part[0], second, part[1]);
  part[0] = low;
  part[1] = high;
}
// The lower halves of `old`, the upper of `new`.
static inline V v_merge_even(V old, V new) {
  __m512i merged = _mm512_mask_blend_epi16(0xAAAAAAAA, _mm512_castps_si512(old), _mm512_castps_si512(new));
  return _mm512_castsi512_ps(merged);
}

// Rounds to bfloat16 in one instruction, which flushes subnormal weights to zero.
static inline void v_store_weights(uint16_t *p, V x) { _mm256_storeu_si256((__m256i *)p, (__m256i)_mm512_cvtneps_pbh(x)); }

#define NAME(x) x##_bfloat16
#define PER_LANE 2
#define MULTIPLY_ADD(acc, a, b) _mm512_dpbf16_ps(acc, (__m512bh)(a), (__m512bh)(b))
#include "attention_template.h"

const fovea_kernels fovea_kernels_avx512bf16 = {
    .name = "avx512bf16",
#define ACTIVATION_CODES fovea_activation_codes_avx512vnni
#define QUANTIZED_LINEAR fovea_quantized_linear_avx512vnni
#define PACKED_LINEAR_INT16 packed_linear_int16
#include "kernel_table.h"
    .pack_queries[FOVEA_TILE_BFLOAT16] = pack_queries_bfloat16,
    .pack_keys[FOVEA_TILE_BFLOAT16] = pack_keys_bfloat16,
    .pack_values[FOVEA_TILE_BFLOAT16] = pack_values_bfloat16,
    .attention[FOVEA_TILE_BFLOAT16] = attention_bfloat16,
    .attention_rows[FOVEA_TILE_FLOAT32] = attention_rows_float32,
    .attention_rows[FOVEA_TILE_BFLOAT16] = attention_rows_bfloat16,
};
#pragma clang attribute pop
#endif
