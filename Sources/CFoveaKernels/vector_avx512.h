// The vector operations that the kernel templates are written in, on 16 lanes of AVX-512 (F, BW, VL, DQ).
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define LANES 16
typedef __m512 V;

static inline __mmask16 first_lanes(size_t count) { return (__mmask16)((1u << count) - 1u); }
static inline V v_zero(void) { return _mm512_setzero_ps(); }
static inline V v_set1(float x) { return _mm512_set1_ps(x); }
static inline V v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline V v_load_first(const float *p, size_t count) { return _mm512_maskz_loadu_ps(first_lanes(count), p); }
static inline void v_store(float *p, V x) { _mm512_storeu_ps(p, x); }
static inline void v_keep(V *x) { (void)x; }
static inline void v_store_first(float *p, V x, size_t count) { _mm512_mask_storeu_ps(p, first_lanes(count), x); }

static inline V widen_bf16(__m256i x) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16)); }
static inline V v_load_bf16(const uint16_t *p) { return widen_bf16(_mm256_loadu_si256((const __m256i *)p)); }
static inline V v_load_first_bf16(const uint16_t *p, size_t count) {
  return widen_bf16(_mm256_maskz_loadu_epi16(first_lanes(count), p));
}
static inline V v_load_f16(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
static inline V v_load_first_f16(const uint16_t *p, size_t count) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(count), p));
}
static inline __m256i narrow_bf16(V x) {
  __m512i bits = _mm512_castps_si512(x);
  __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
  __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  rounded = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x00400000));
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}
static inline void v_store_bf16(uint16_t *p, V x) { _mm256_storeu_si256((__m256i *)p, narrow_bf16(x)); }
static inline void v_store_first_bf16(uint16_t *p, V x, size_t count) {
  _mm256_mask_storeu_epi16(p, first_lanes(count), narrow_bf16(x));
}
static inline __m256i narrow_f16(V x) { return _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline void v_store_f16(uint16_t *p, V x) { _mm256_storeu_si256((__m256i *)p, narrow_f16(x)); }
static inline void v_store_first_f16(uint16_t *p, V x, size_t count) {
  _mm256_mask_storeu_epi16(p, first_lanes(count), narrow_f16(x));
}

static inline V v_add(V a, V b) { return _mm512_add_ps(a, b); }
static inline V v_sub(V a, V b) { return _mm512_sub_ps(a, b); }
static inline V v_mul(V a, V b) { return _mm512_mul_ps(a, b); }
static inline V v_div(V a, V b) { return _mm512_div_ps(a, b); }
static inline V v_fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }    // a * b + c
// *a * b + c, with the element as an operand in memory: the compiler would load what is used twice.
static inline __attribute__((always_inline)) V v_fma_at(const float *a, V b, V c) {
  __asm__("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(c) : "v"(b), "m"(*a));
  return c;
}
static inline V v_fnma(V a, V b, V c) { return _mm512_fnmadd_ps(a, b, c); }  // c - a * b
// The larger; the second where either is NaN.
static inline V v_max(V a, V b) { return _mm512_max_ps(a, b); }
static inline V v_min(V a, V b) { return _mm512_min_ps(a, b); }
static inline V v_round(V x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
// x times 2 to the power n, n whole.
static inline V v_scale2(V x, V n) { return _mm512_scalef_ps(x, n); }
// 2 to the power round(t), t <= 0, in the form that v_times_power takes; *rest = t - round(t), NaN for -infinity. Where
// subnormal numbers would begin the product is 0: Intel's processors take some 150 cycles for a vector with one of those.
static inline V v_nearest_power(V t, V *rest) {
  V n = v_round(t);
  *rest = _mm512_sub_ps(t, n);
  return n;
}
static inline V v_times_power(V x, V power) {
  const __mmask16 is_normal = _mm512_cmp_ps_mask(power, _mm512_set1_ps(-125), _CMP_NLT_UQ);
  return _mm512_maskz_scalef_ps(is_normal, x, power);
}
static inline float v_sum(V x) { return _mm512_reduce_add_ps(x); }
static inline float v_max_across(V x) { return _mm512_reduce_max_ps(x); }
static inline double v_sum_double(V x) {
  __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
  __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
  return _mm512_reduce_add_pd(_mm512_add_pd(low, high));
}

// score + mask, or -infinity where the mask is -infinity, whatever the score.
static inline V v_add_mask(V score, V mask) {
  __mmask16 hidden = _mm512_cmp_ps_mask(mask, _mm512_set1_ps(-__builtin_inff()), _CMP_EQ_OQ);
  return _mm512_mask_mov_ps(_mm512_add_ps(score, mask), hidden, mask);
}

// `x` in the lanes whose index, counted from `first`, lies in [begin, end), `other` elsewhere.
static inline V v_select_range(V x, V other, int32_t first, int32_t begin, int32_t end) {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  __m512i index = _mm512_add_epi32(lane, _mm512_set1_epi32(first));
  __mmask16 inside = _mm512_cmpge_epi32_mask(index, _mm512_set1_epi32(begin));
  inside &= _mm512_cmplt_epi32_mask(index, _mm512_set1_epi32(end));
  return _mm512_mask_blend_ps(inside, other, x);
}

// Lane i of the result is the sum of the lanes of a[i], added as a tree: lanes 8 apart, then 4, 2, 1.
static inline V v_reduce(const V a[LANES]) {
  V half[8], quarter[4], pair[2];
#pragma clang loop unroll(full)
  for (int i = 0; i < 8; i++)
    half[i] = v_add(_mm512_shuffle_f32x4(a[i], a[i + 8], 0x44), _mm512_shuffle_f32x4(a[i], a[i + 8], 0xEE));
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; i++)
    quarter[i] = v_add(_mm512_shuffle_f32x4(half[i], half[i + 4], 0x88),
                       _mm512_shuffle_f32x4(half[i], half[i + 4], 0xDD));
#pragma clang loop unroll(full)
  for (int i = 0; i < 2; i++)
    pair[i] = v_add(_mm512_unpacklo_ps(quarter[2 * i], quarter[2 * i + 1]),
                    _mm512_unpackhi_ps(quarter[2 * i], quarter[2 * i + 1]));
  V sums = v_add(_mm512_shuffle_ps(pair[0], pair[1], 0x44), _mm512_shuffle_ps(pair[0], pair[1], 0xEE));
  return _mm512_shuffle_f32x4(sums, sums, _MM_SHUFFLE(3, 1, 2, 0));
}
// The place of a lane in the order in which v_reduce's tree takes the lanes: those that are added first are neighbours.
#define LANE_PLACE(lane) (((lane) & 8) >> 3 | ((lane) & 4) >> 1 | ((lane) & 2) << 1 | ((lane) & 1) << 3)

// columns[i] = element i of each of the 16 rows, of the first 8 elements. Half vectors leave registers for two groups
// of keys beside their sums, and one level of shuffles less than 16 by 16.
#define COLUMN_STEPS 8
#define KEY_GROUPS 2
static inline void v_transpose_halves(V t[8], V columns[8]) {
  V u[8];
#pragma clang loop unroll(full)
  for (int i = 0; i < 8; i += 2) {
    u[i] = _mm512_unpacklo_ps(t[i], t[i + 1]);
    u[i + 1] = _mm512_unpackhi_ps(t[i], t[i + 1]);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 2; i++) {
    __m512d a = _mm512_castps_pd(u[i]), b = _mm512_castps_pd(u[i + 2]);
    __m512d c = _mm512_castps_pd(u[i + 4]), d = _mm512_castps_pd(u[i + 6]);
    V low = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), high = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
    V low8 = _mm512_castpd_ps(_mm512_unpacklo_pd(c, d)), high8 = _mm512_castpd_ps(_mm512_unpackhi_pd(c, d));
    columns[2 * i] = _mm512_shuffle_f32x4(low, low8, 0x88);
    columns[2 * i + 1] = _mm512_shuffle_f32x4(high, high8, 0x88);
    columns[2 * i + 4] = _mm512_shuffle_f32x4(low, low8, 0xDD);
    columns[2 * i + 5] = _mm512_shuffle_f32x4(high, high8, 0xDD);
  }
}
// Row i of 8 from `p` on, `s` bytes apart: the multiples that an address cannot hold are kept in registers.
static inline __attribute__((always_inline)) const char *row_address(const char *p, ptrdiff_t s, ptrdiff_t s3,
                                                                     ptrdiff_t s5, ptrdiff_t s7, const int i) {
  switch (i) {
    case 0: return p;
    case 1: return p + s;
    case 2: return p + 2 * s;
    case 3: return p + s3;
    case 4: return p + 4 * s;
    case 5: return p + s5;
    case 6: return p + 2 * s3;
    default: return p + s7;
  }
}
// Keeps the compiler from computing 16 addresses ahead of a loop, which it then reads from the stack one by one.
#define KEEP_ADDRESS(pointer) __asm__("" : "+r"(pointer))
// The row in the upper half of vector i is 4 after that in the lower one, and vectors 4 to 7 begin at row 8.
#define LOAD_COLUMNS(name, load_half)                                                                            \
  static inline __attribute__((always_inline)) void name(const char *rows, ptrdiff_t stride, V columns[8]) {     \
    V t[8];                                                                                                      \
    KEEP_ADDRESS(rows);                                                                                          \
    const ptrdiff_t s3 = 3 * stride, s5 = 5 * stride, s7 = 7 * stride;                                           \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < 8; i++) {                                             \
      const char *base = i < 4 ? rows : rows + 8 * stride;                                                       \
      __m256 low = load_half(row_address(base, stride, s3, s5, s7, i % 4));                                      \
      __m256 high = load_half(row_address(base, stride, s3, s5, s7, i % 4 + 4));                                 \
      t[i] = _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);                                           \
    }                                                                                                            \
    v_transpose_halves(t, columns);                                                                              \
  }
#define LOAD_HALF_F32(p) _mm256_loadu_ps((const float *)(p))
#define LOAD_HALF_F16(p) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p)))
#define LOAD_HALF_BF16(p) \
  _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(p))), 16))
LOAD_COLUMNS(v_load_columns_f32, LOAD_HALF_F32)
LOAD_COLUMNS(v_load_columns_f16, LOAD_HALF_F16)
LOAD_COLUMNS(v_load_columns_bf16, LOAD_HALF_BF16)
#undef LOAD_COLUMNS
#undef KEEP_ADDRESS
#undef LOAD_HALF_F32
#undef LOAD_HALF_F16
#undef LOAD_HALF_BF16

// Two bfloat16 numbers in a lane are told apart by one instruction each.
#define HAS_BF16_PAIRS
static inline V v_even_bf16(V pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(pairs), 16)); }
static inline V v_odd_bf16(V pairs) {
  return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(pairs), _mm512_set1_epi32((int)0xFFFF0000)));
}
// part[0] holds the even and part[1] the odd ones of 32 elements; they are brought into order.
static inline void v_join_halves(V part[2]) {
  const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(8));
  V low = _mm512_permutex2var_ps(part[0], first, part[1]), high = _mm512_permutex2var_ps(part[0], second, part[1]);
  part[0] = low;
  part[1] = high;
}

// rows[i] lane j becomes rows[j] lane i.
static inline void v_transpose(V rows[LANES]) {
  V t[16];
#pragma clang loop unroll(full)
  for (int i = 0; i < 8; i++) {
    t[2 * i] = _mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
  }
  // Column c of each group of four rows, spread over the four 128-bit blocks.
  V u[16];
#pragma clang loop unroll(full)
  for (int g = 0; g < 4; g++) {
    __m512d low0 = _mm512_castps_pd(t[4 * g]), low1 = _mm512_castps_pd(t[4 * g + 2]);
    __m512d high0 = _mm512_castps_pd(t[4 * g + 1]), high1 = _mm512_castps_pd(t[4 * g + 3]);
    u[4 * g] = _mm512_castpd_ps(_mm512_unpacklo_pd(low0, low1));
    u[4 * g + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low0, low1));
    u[4 * g + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high0, high1));
    u[4 * g + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high0, high1));
  }
#pragma clang loop unroll(full)
  for (int c = 0; c < 4; c++) {
    V even01 = _mm512_shuffle_f32x4(u[c], u[4 + c], 0x88), odd01 = _mm512_shuffle_f32x4(u[c], u[4 + c], 0xDD);
    V even23 = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0x88), odd23 = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0xDD);
    rows[c] = _mm512_shuffle_f32x4(even01, even23, 0x88);
    rows[4 + c] = _mm512_shuffle_f32x4(odd01, odd23, 0x88);
    rows[8 + c] = _mm512_shuffle_f32x4(even01, even23, 0xDD);
    rows[12 + c] = _mm512_shuffle_f32x4(odd01, odd23, 0xDD);
  }
}

// 32-bit lanes of integers. `i_round` gives the nearest integer; `i_store_bytes` keeps the lowest byte of each lane,
// `i_store_int16` the lower half.
typedef __m512i I;
static inline I i_load(const void *p) { return _mm512_loadu_si512(p); }
static inline I i_set1(int32_t x) { return _mm512_set1_epi32(x); }
static inline I i_add(I a, I b) { return _mm512_add_epi32(a, b); }
static inline I i_and(I a, I b) { return _mm512_and_si512(a, b); }
#define i_shift_left(x, count) _mm512_slli_epi32(x, count)
#define i_shift_right(x, count) _mm512_srli_epi32(x, count)
#define i_shift_right_signed(x, count) _mm512_srai_epi32(x, count)
static inline I i_round(V x) { return _mm512_cvtps_epi32(x); }
static inline V v_from_integers(I x) { return _mm512_cvtepi32_ps(x); }
static inline V v_from_bits(I x) { return _mm512_castsi512_ps(x); }
static inline void i_store_bytes(uint8_t *p, I x) { _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(x)); }
static inline void i_store_int16(int16_t *p, I x) { _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(x)); }
// sums + the dot product of the two signed 16-bit integers of each lane.
static inline __attribute__((always_inline)) I i_dot_int16(I sums, I a, I b) {
  sums = _mm512_add_epi32(sums, _mm512_madd_epi16(a, b));
  __asm__("" : "+v"(sums));  // products are not added among themselves first, for which registers would not do
  return sums;
}
// The same in one instruction, for CPUs that have it (VNNI). The compiler would take it apart again, into a product and a
// sum, for a chain that is shorter: at half the pace.
static inline __attribute__((always_inline)) I i_dot_int16_vnni(I sums, I a, I b) {
  __asm__("vpdpwssd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
  return sums;
}
// `x` where `condition` is not 0, else 0.
static inline V v_where(V condition, V x) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(condition, v_zero(), _CMP_NEQ_UQ), x);
}
