// The vector operations that the kernel templates are written in, on 4 lanes of NEON (Armv8-A).
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 4
typedef float32x4_t V;

static inline V v_zero(void) { return vdupq_n_f32(0); }
static inline V v_set1(float x) { return vdupq_n_f32(x); }
static inline V v_load(const float *p) { return vld1q_f32(p); }
static inline void v_store(float *p, V x) { vst1q_f32(p, x); }
static inline void v_keep(V *x) { (void)x; }
// NEON has no masked loads and stores: the few elements of a tail go through memory.
static inline V v_load_first(const float *p, size_t count) {
  float buffer[4] = {0};
  memcpy(buffer, p, count * sizeof(float));
  return v_load(buffer);
}
static inline void v_store_first(float *p, V x, size_t count) {
  float buffer[4];
  v_store(buffer, x);
  memcpy(p, buffer, count * sizeof(float));
}
static inline uint16x4_t load_first_16(const uint16_t *p, size_t count) {
  uint16_t buffer[4] = {0};
  memcpy(buffer, p, count * sizeof(uint16_t));
  return vld1_u16(buffer);
}
static inline void store_first_16(uint16_t *p, uint16x4_t x, size_t count) {
  uint16_t buffer[4];
  vst1_u16(buffer, x);
  memcpy(p, buffer, count * sizeof(uint16_t));
}
static inline V widen_bf16(uint16x4_t x) { return vreinterpretq_f32_u32(vshll_n_u16(x, 16)); }
static inline V v_load_bf16(const uint16_t *p) { return widen_bf16(vld1_u16(p)); }
static inline V v_load_first_bf16(const uint16_t *p, size_t count) { return widen_bf16(load_first_16(p, count)); }
static inline V widen_f16(uint16x4_t x) { return vcvt_f32_f16(vreinterpret_f16_u16(x)); }
static inline V v_load_f16(const uint16_t *p) { return widen_f16(vld1_u16(p)); }
static inline V v_load_first_f16(const uint16_t *p, size_t count) { return widen_f16(load_first_16(p, count)); }
static inline uint16x4_t narrow_bf16(V x) {
  uint32x4_t bits = vreinterpretq_u32_f32(x);
  uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7FFF)));
  uint32x4_t quieted = vorrq_u32(bits, vdupq_n_u32(0x00400000));
  return vshrn_n_u32(vbslq_u32(vceqq_f32(x, x), rounded, quieted), 16);
}
static inline void v_store_bf16(uint16_t *p, V x) { vst1_u16(p, narrow_bf16(x)); }
static inline void v_store_first_bf16(uint16_t *p, V x, size_t count) { store_first_16(p, narrow_bf16(x), count); }
static inline uint16x4_t narrow_f16(V x) { return vreinterpret_u16_f16(vcvt_f16_f32(x)); }
static inline void v_store_f16(uint16_t *p, V x) { vst1_u16(p, narrow_f16(x)); }
static inline void v_store_first_f16(uint16_t *p, V x, size_t count) { store_first_16(p, narrow_f16(x), count); }

static inline V v_add(V a, V b) { return vaddq_f32(a, b); }
static inline V v_sub(V a, V b) { return vsubq_f32(a, b); }
static inline V v_mul(V a, V b) { return vmulq_f32(a, b); }
static inline V v_div(V a, V b) { return vdivq_f32(a, b); }
static inline V v_fma(V a, V b, V c) { return vfmaq_f32(c, a, b); }   // a * b + c
static inline V v_fnma(V a, V b, V c) { return vfmsq_f32(c, a, b); }  // c - a * b
// The larger; the second where either is NaN, as on x86.
static inline V v_max(V a, V b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
static inline V v_min(V a, V b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
static inline V v_round(V x) { return vrndnq_f32(x); }
// x times 2 to the power n, n whole; in two steps so that results down to the smallest subnormal are right.
static inline V v_scale2(V x, V n) {
  int32x4_t whole = vcvtq_s32_f32(vmaxq_f32(vminq_f32(n, vdupq_n_f32(252)), vdupq_n_f32(-252)));
  int32x4_t first = vshrq_n_s32(whole, 1);
  int32x4_t second = vsubq_s32(whole, first);
  const int32x4_t bias = vdupq_n_s32(127);
  V first_power = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(first, bias), 23));
  V second_power = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(second, bias), 23));
  return v_mul(v_mul(x, first_power), second_power);
}
// 2 to the power round(t), t <= 0, or 0 where subnormal numbers would begin; *rest = t - round(t). The sum with
// 1.5 * 2^23 + 127 is whole, and its last bits are the exponent of the power.
static inline V v_nearest_power(V t, V *rest) {
  const V shift = vdupq_n_f32(0x1.8p23f + 127);
  t = v_max(vdupq_n_f32(-127), t);
  V shifted = vaddq_f32(t, shift);
  *rest = vsubq_f32(t, vsubq_f32(shifted, shift));
  return vreinterpretq_f32_s32(vshlq_n_s32(vreinterpretq_s32_f32(shifted), 23));
}
static inline V v_times_power(V x, V power) { return v_mul(x, power); }
static inline float v_sum(V x) {
  float32x2_t pair = vadd_f32(vget_low_f32(x), vget_high_f32(x));
  return vget_lane_f32(vpadd_f32(pair, pair), 0);
}
static inline float v_max_across(V x) {
  V y = v_max(x, vextq_f32(x, x, 2));
  return vgetq_lane_f32(v_max(y, vextq_f32(y, y, 1)), 0);
}
static inline double v_sum_double(V x) {
  return vaddvq_f64(vaddq_f64(vcvt_f64_f32(vget_low_f32(x)), vcvt_high_f64_f32(x)));
}

// score + mask, or -infinity where the mask is -infinity, whatever the score.
static inline V v_add_mask(V score, V mask) {
  return vbslq_f32(vceqq_f32(mask, vdupq_n_f32(-__builtin_inff())), mask, vaddq_f32(score, mask));
}

// `x` in the lanes whose index, counted from `first`, lies in [begin, end), `other` elsewhere.
static inline V v_select_range(V x, V other, int32_t first, int32_t begin, int32_t end) {
  const int32x4_t lane = {0, 1, 2, 3};
  int32x4_t index = vaddq_s32(lane, vdupq_n_s32(first));
  uint32x4_t inside = vandq_u32(vcgeq_s32(index, vdupq_n_s32(begin)), vcltq_s32(index, vdupq_n_s32(end)));
  return vbslq_f32(inside, x, other);
}

// Lane i of the result is the sum of the lanes of a[i], neighbours first.
static inline V v_reduce(const V a[LANES]) { return vpaddq_f32(vpaddq_f32(a[0], a[1]), vpaddq_f32(a[2], a[3])); }
// The place of a lane in the order in which v_reduce's tree takes the lanes: those that are added first are neighbours.
#define LANE_PLACE(lane) (lane)

// rows[i] lane j becomes rows[j] lane i.
static inline void v_transpose(V rows[LANES]) {
  float32x4x2_t low = vtrnq_f32(rows[0], rows[1]);
  float32x4x2_t high = vtrnq_f32(rows[2], rows[3]);
  rows[0] = vcombine_f32(vget_low_f32(low.val[0]), vget_low_f32(high.val[0]));
  rows[1] = vcombine_f32(vget_low_f32(low.val[1]), vget_low_f32(high.val[1]));
  rows[2] = vcombine_f32(vget_high_f32(low.val[0]), vget_high_f32(high.val[0]));
  rows[3] = vcombine_f32(vget_high_f32(low.val[1]), vget_high_f32(high.val[1]));
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
typedef int32x4_t I;
static inline I i_load(const void *p) { return vreinterpretq_s32_u8(vld1q_u8(p)); }
static inline I i_set1(int32_t x) { return vdupq_n_s32(x); }
static inline I i_add(I a, I b) { return vaddq_s32(a, b); }
static inline I i_and(I a, I b) { return vandq_s32(a, b); }
#define i_shift_left(x, count) vshlq_n_s32(x, count)
#define i_shift_right(x, count) vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(x), count))
#define i_shift_right_signed(x, count) vshrq_n_s32(x, count)
static inline I i_round(V x) { return vcvtnq_s32_f32(x); }
static inline V v_from_integers(I x) { return vcvtq_f32_s32(x); }
static inline V v_from_bits(I x) { return vreinterpretq_f32_s32(x); }
static inline void i_store_bytes(uint8_t *p, I x) {
  int16x4_t halves = vmovn_s32(x);
  int8x8_t bytes = vmovn_s16(vcombine_s16(halves, halves));
  memcpy(p, &bytes, 4);
}
static inline void i_store_int16(int16_t *p, I x) { vst1_s16(p, vmovn_s32(x)); }
// sums + the dot product of the two signed 16-bit integers of each lane.
static inline I i_dot_int16(I sums, I a, I b) {
  int16x8_t pairs = vreinterpretq_s16_s32(a), others = vreinterpretq_s16_s32(b);
  int32x4_t low = vmull_s16(vget_low_s16(pairs), vget_low_s16(others)), high = vmull_high_s16(pairs, others);
  return vaddq_s32(sums, vpaddq_s32(low, high));
}
// sums + the dot product of the four unsigned bytes of a lane of `codes` and the signed ones of `factors`. A product of
// two fits into 16 bits: 255 * -128.
static inline I i_dot(I sums, I codes, I factors) {
  uint8x16_t bytes = vreinterpretq_u8_s32(codes);
  int8x16_t signs = vreinterpretq_s8_s32(factors);
  int16x8_t low = vmulq_s16(vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(bytes))), vmovl_s8(vget_low_s8(signs)));
  int16x8_t high = vmulq_s16(vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(bytes))), vmovl_s8(vget_high_s8(signs)));
  return vaddq_s32(sums, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
}
// `x` where `condition` is not 0, else 0.
static inline V v_where(V condition, V x) {
  uint32x4_t is_zero = vceqq_f32(condition, vdupq_n_f32(0));
  return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(x), is_zero));
}
