// Products with quantised weights for NEON, and the rounding of activations for them.
#if defined(__aarch64__)
#define QUANTIZED_LINEAR fovea_quantized_linear_neon
#define BYTE_DOT 0
#include "quantized_neon.h"

static inline float32x4_t load_elements(const char *p, fovea_element element) {
  return element == FOVEA_FLOAT32 ? vld1q_f32((const float *)p) : widen(vld1_u16((const uint16_t *)p), element);
}

static void activation_codes_row(const fovea_activation_codes *work, size_t row) {
  const size_t blocks = work->depth / FOVEA_CODE_BLOCK, blocks_per_group = work->group_size / FOVEA_CODE_BLOCK;
  const size_t width = work->input_element == FOVEA_FLOAT32 ? 4 : 2;
  const char *inputs = (const char *)work->inputs + (ptrdiff_t)row * work->input_stride * (ptrdiff_t)width;
  int8_t *codes = work->codes + row * fovea_code_stride(work->depth);
  float *sums = work->sums + row * (blocks / blocks_per_group);
  for (size_t block = 0; block < blocks; block++) {
    float32x4_t x[8], maxima = vdupq_n_f32(0), spoiled = vdupq_n_f32(0);
#pragma clang loop unroll(full)
    for (size_t i = 0; i < 8; i++) {
      x[i] = load_elements(inputs + (block * FOVEA_CODE_BLOCK + 4 * i) * width, work->input_element);
      maxima = vmaxq_f32(maxima, vabsq_f32(x[i]));
      // NaN where x is not finite.
      spoiled = vaddq_f32(spoiled, vmulq_f32(x[i], vdupq_n_f32(0)));
    }
    const bool is_spoiled = vminvq_u32(vceqq_f32(spoiled, spoiled)) == 0;
    const float maximum = is_spoiled ? 0 : vmaxvq_f32(maxima);
    float inverse, scale = block_scale(maximum, &inverse);
    int32x4_t whole[8], sum = vdupq_n_s32(0);
#pragma clang loop unroll(full)
    for (int i = 0; i < 8; i++) {
      whole[i] = is_spoiled ? vdupq_n_s32(0) : vcvtnq_s32_f32(vmulq_f32(x[i], vdupq_n_f32(inverse)));
      sum = vaddq_s32(sum, whole[i]);
    }
    if (is_spoiled) scale = NAN;
    int8x16_t bytes[2];
#pragma clang loop unroll(full)
    for (int i = 0; i < 2; i++) {
      const int16x8_t low = vcombine_s16(vqmovn_s32(whole[4 * i]), vqmovn_s32(whole[4 * i + 1]));
      const int16x8_t high = vcombine_s16(vqmovn_s32(whole[4 * i + 2]), vqmovn_s32(whole[4 * i + 3]));
      bytes[i] = vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
    }
    const bool is_split = work->bits == 4;
    vst1q_s8(codes + block * FOVEA_CODE_BLOCK, is_split ? vuzp1q_s8(bytes[0], bytes[1]) : bytes[0]);
    vst1q_s8(codes + block * FOVEA_CODE_BLOCK + 16, is_split ? vuzp2q_s8(bytes[0], bytes[1]) : bytes[1]);
    work->scales[row * blocks + block] = scale;
    add_block_sum(sums + block / blocks_per_group, block % blocks_per_group == 0, scale, vaddvq_s32(sum));
  }
}

void fovea_activation_codes_neon(const fovea_activation_codes *work) {
  for (size_t row = 0; row < work->row_count; row++) activation_codes_row(work, row);
}
#endif
