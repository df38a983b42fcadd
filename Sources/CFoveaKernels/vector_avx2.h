// The vector operations that the kernel templates are written in, on 8 lanes of AVX2 with FMA and F16C.
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 8
typedef __m256 V;

static inline __m256i first_lanes(size_t count) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lane);
}
static inline V v_zero(void) { return _mm256_setzero_ps(); }
static inline V v_set1(float x) { return _mm256_set1_ps(x); }
static inline V v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline V v_load_first(const float *p, size_t count) { return _mm256_maskload_ps(p, first_lanes(count)); }
static inline void v_store(float *p, V x) { _mm256_storeu_ps(p, x); }
// Keeps the sum of a loop in a register: of 16 the compiler gives all to constants, and a sum that goes through memory
// takes three times as long.
static inline __attribute__((always_inline)) void v_keep(V *x) { __asm__("" : "+x"(*x)); }
static inline void v_store_first(float *p, V x, size_t count) { _mm256_maskstore_ps(p, first_lanes(count), x); }

// AVX2 has no masked loads of 16-bit elements: the few of a tail go through memory.
static inline __m128i load_first_16(const uint16_t *p, size_t count) {
  uint16_t buffer[8] = {0};
  memcpy(buffer, p, count * sizeof(uint16_t));
  return _mm_loadu_si128((const __m128i *)buffer);
}
static inline void store_first_16(uint16_t *p, __m128i x, size_t count) {
  uint16_t buffer[8];
  _mm_storeu_si128((__m128i *)buffer, x);
  memcpy(p, buffer, count * sizeof(uint16_t));
}
static inline V widen_bf16(__m128i x) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16)); }
static inline V v_load_bf16(const uint16_t *p) { return widen_bf16(_mm_loadu_si128((const __m128i *)p)); }
static inline V v_load_first_bf16(const uint16_t *p, size_t count) { return widen_bf16(load_first_16(p, count)); }
static inline V v_load_f16(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
static inline V v_load_first_f16(const uint16_t *p, size_t count) { return _mm256_cvtph_ps(load_first_16(p, count)); }
static inline __m128i narrow_bf16(V x) {
  __m256i bits = _mm256_castps_si256(x);
  __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
  __m256i quieted = _mm256_or_si256(bits, _mm256_set1_epi32(0x00400000));
  __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  rounded = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quieted, nan), 16);
  return _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
}
static inline void v_store_bf16(uint16_t *p, V x) { _mm_storeu_si128((__m128i *)p, narrow_bf16(x)); }
static inline void v_store_first_bf16(uint16_t *p, V x, size_t count) { store_first_16(p, narrow_bf16(x), count); }
static inline __m128i narrow_f16(V x) { return _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline void v_store_f16(uint16_t *p, V x) { _mm_storeu_si128((__m128i *)p, narrow_f16(x)); }
static inline void v_store_first_f16(uint16_t *p, V x, size_t count) { store_first_16(p, narrow_f16(x), count); }

static inline V v_add(V a, V b) { return _mm256_add_ps(a, b); }
static inline V v_sub(V a, V b) { return _mm256_sub_ps(a, b); }
static inline V v_mul(V a, V b) { return _mm256_mul_ps(a, b); }
static inline V v_div(V a, V b) { return _mm256_div_ps(a, b); }
static inline V v_fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }    // a * b + c
static inline V v_fnma(V a, V b, V c) { return _mm256_fnmadd_ps(a, b, c); }  // c - a * b
// The larger; the second where either is NaN.
static inline V v_max(V a, V b) { return _mm256_max_ps(a, b); }
static inline V v_min(V a, V b) { return _mm256_min_ps(a, b); }
static inline V v_round(V x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
// x times 2 to the power n, n whole; in two steps so that results down to the smallest subnormal are right.
static inline V v_scale2(V x, V n) {
  __m256i whole = _mm256_cvtps_epi32(_mm256_max_ps(_mm256_min_ps(n, _mm256_set1_ps(252)), _mm256_set1_ps(-252)));
  __m256i first = _mm256_srai_epi32(whole, 1);
  __m256i second = _mm256_sub_epi32(whole, first);
  const __m256i bias = _mm256_set1_epi32(127);
  V first_power = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(first, bias), 23));
  V second_power = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(second, bias), 23));
  return v_mul(v_mul(x, first_power), second_power);
}
// 2 to the power round(t), t <= 0, or 0 where subnormal numbers would begin; *rest = t - round(t). The sum with
// 1.5 * 2^23 + 127 is whole, and its last bits are the exponent of the power.
static inline V v_nearest_power(V t, V *rest) {
  const V shift = _mm256_set1_ps(0x1.8p23f + 127);
  t = v_max(_mm256_set1_ps(-127), t);
  V shifted = _mm256_add_ps(t, shift);
  *rest = _mm256_sub_ps(t, _mm256_sub_ps(shifted, shift));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(shifted), 23));
}
static inline V v_times_power(V x, V power) { return v_mul(x, power); }
static inline float v_sum(V x) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}
static inline float v_max_across(V x) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}
static inline double v_sum_double(V x) {
  __m256d s = _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(x)), _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)));
  __m128d t = _mm_add_pd(_mm256_castpd256_pd128(s), _mm256_extractf128_pd(s, 1));
  return _mm_cvtsd_f64(_mm_add_sd(t, _mm_unpackhi_pd(t, t)));
}

// score + mask, or -infinity where the mask is -infinity, whatever the score.
static inline V v_add_mask(V score, V mask) {
  V hidden = _mm256_cmp_ps(mask, _mm256_set1_ps(-__builtin_inff()), _CMP_EQ_OQ);
  return _mm256_blendv_ps(_mm256_add_ps(score, mask), mask, hidden);
}

// `x` in the lanes whose index, counted from `first`, lies in [begin, end), `other` elsewhere.
static inline V v_select_range(V x, V other, int32_t first, int32_t begin, int32_t end) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  __m256i index = _mm256_add_epi32(lane, _mm256_set1_epi32(first));
  __m256i before = _mm256_cmpgt_epi32(_mm256_set1_epi32(begin), index);
  __m256i inside = _mm256_andnot_si256(before, _mm256_cmpgt_epi32(_mm256_set1_epi32(end), index));
  return _mm256_blendv_ps(other, x, _mm256_castsi256_ps(inside));
}

// Lane i of the result is the sum of the lanes of a[i], added as a tree: lanes 4 apart, then 2, 1.
static inline V v_reduce(const V a[LANES]) {
  V half[4], pair[2];
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; i++)
    half[i] = v_add(_mm256_permute2f128_ps(a[i], a[i + 4], 0x20), _mm256_permute2f128_ps(a[i], a[i + 4], 0x31));
#pragma clang loop unroll(full)
  for (int i = 0; i < 2; i++)
    pair[i] = v_add(_mm256_unpacklo_ps(half[2 * i], half[2 * i + 1]), _mm256_unpackhi_ps(half[2 * i], half[2 * i + 1]));
  return v_add(_mm256_shuffle_ps(pair[0], pair[1], 0x44), _mm256_shuffle_ps(pair[0], pair[1], 0xEE));
}
// The place of a lane in the order in which v_reduce's tree takes the lanes: those that are added first are neighbours.
#define LANE_PLACE(lane) (((lane) & 4) >> 2 | ((lane) & 2) | ((lane) & 1) << 2)

// rows[i] lane j becomes rows[j] lane i.
static inline void v_transpose(V rows[LANES]) {
  V t[8], u[8];
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; i++) {
    t[2 * i] = _mm256_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
  }
#pragma clang loop unroll(full)
  for (int g = 0; g < 2; g++) {
    u[4 * g] = _mm256_shuffle_ps(t[4 * g], t[4 * g + 2], 0x44);
    u[4 * g + 1] = _mm256_shuffle_ps(t[4 * g], t[4 * g + 2], 0xEE);
    u[4 * g + 2] = _mm256_shuffle_ps(t[4 * g + 1], t[4 * g + 3], 0x44);
    u[4 * g + 3] = _mm256_shuffle_ps(t[4 * g + 1], t[4 * g + 3], 0xEE);
  }
#pragma clang loop unroll(full)
  for (int c = 0; c < 4; c++) {
    rows[c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x20);
    rows[4 + c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x31);
  }
}

// columns[i] = element i of each of LANES rows, of the first LANES elements.
#define COLUMN_STEPS LANES
#define KEY_GROUPS 1
#define LOAD_COLUMNS(name, type, load)                                                                       \
  static inline __attribute__((always_inline)) void name(const char *rows, ptrdiff_t stride, V columns[LANES]) { \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < LANES; i++) columns[i] =                              \
        load((const type *)(rows + i * stride));                                                                 \
    v_transpose(columns);                                                                                        \
  }
LOAD_COLUMNS(v_load_columns_f32, float, v_load)
LOAD_COLUMNS(v_load_columns_f16, uint16_t, v_load_f16)
LOAD_COLUMNS(v_load_columns_bf16, uint16_t, v_load_bf16)
#undef LOAD_COLUMNS

// 32-bit lanes of integers. `i_round` gives the nearest integer; `i_store_bytes` keeps the lowest byte of each lane,
// `i_store_int16` the lower half.
typedef __m256i I;
static inline I i_load(const void *p) { return _mm256_loadu_si256(p); }
static inline I i_set1(int32_t x) { return _mm256_set1_epi32(x); }
static inline I i_add(I a, I b) { return _mm256_add_epi32(a, b); }
static inline I i_and(I a, I b) { return _mm256_and_si256(a, b); }
#define i_shift_left(x, count) _mm256_slli_epi32(x, count)
#define i_shift_right(x, count) _mm256_srli_epi32(x, count)
#define i_shift_right_signed(x, count) _mm256_srai_epi32(x, count)
static inline I i_round(V x) { return _mm256_cvtps_epi32(x); }
static inline V v_from_integers(I x) { return _mm256_cvtepi32_ps(x); }
static inline V v_from_bits(I x) { return _mm256_castsi256_ps(x); }
static inline void i_store_bytes(uint8_t *p, I x) {
  const __m256i bytes = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,  //
                                         0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  __m256i packed = _mm256_shuffle_epi8(x, bytes);
  _mm_storel_epi64((__m128i *)p, _mm_unpacklo_epi32(_mm256_castsi256_si128(packed), _mm256_extracti128_si256(packed, 1)));
}
static inline void i_store_int16(int16_t *p, I x) {
  _mm_storeu_si128((__m128i *)p, _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1)));
}
// sums + the dot product of the two signed 16-bit integers of each lane.
// Products wait in no register: the compiler would add several of them before the sums, which then go through memory.
static inline __attribute__((always_inline)) I i_dot_int16(I sums, I a, I b) {
  sums = _mm256_add_epi32(sums, _mm256_madd_epi16(a, b));
  __asm__("" : "+x"(sums));
  return sums;
}
// The same in one instruction, for CPUs that have it (AVX-VNNI). The compiler would take it apart again.
static inline __attribute__((always_inline)) I i_dot_int16_vnni(I sums, I a, I b) {
  __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sums) : "x"(a), "x"(b));
  return sums;
}
// sums + the dot product of the four unsigned bytes of a lane of `codes` and the signed ones of `factors`.
static inline I i_dot(I sums, I codes, I factors) {
  __m256i even = _mm256_and_si256(codes, _mm256_set1_epi16(0x00FF)), odd = _mm256_srli_epi16(codes, 8);
  __m256i even_factors = _mm256_srai_epi16(_mm256_slli_epi16(factors, 8), 8);
  __m256i odd_factors = _mm256_srai_epi16(factors, 8);
  __m256i pairs = _mm256_add_epi32(_mm256_madd_epi16(even, even_factors), _mm256_madd_epi16(odd, odd_factors));
  return _mm256_add_epi32(sums, pairs);
}
// `x` where `condition` is not 0, else 0.
static inline V v_where(V condition, V x) { return _mm256_and_ps(_mm256_cmp_ps(condition, v_zero(), _CMP_NEQ_UQ), x); }
