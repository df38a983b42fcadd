// Products with quantised weights on vectors of 16 bytes; 4 columns of weights are a vector of floats. Include with these
// macros:
//   QUANTIZED_LINEAR  the function's name
//   BYTE_DOT          1 where the CPU has the dot instruction of signed bytes, else 0
//
// The activations for codes of 4 bits lie apart in every block: the 16 of the lower halves of bytes, then the 16 of the
// upper ones. Codes of 8 bits are taken as signed bytes, code - 128; what that leaves out is 128 times the sum of the
// block's activations, the same for every column.
#include <arm_neon.h>

#include "quantized.h"
#include "tables.h"

#define FEW_ROWS 4
#define VECTOR_COLUMNS 4
#define TILE_ROWS 4
#define CAREFUL_TILE_ROWS TILE_ROWS
#define SPREAD_CODE_BYTES 1
#define TILE_VECTORS 4
#define TILE_COLUMNS (TILE_VECTORS * VECTOR_COLUMNS)

// sums + the dot products of the four bytes of each lane.
static inline int32x4_t dot(int32x4_t sums, int8x16_t a, int8x16_t b) {
#if BYTE_DOT
  return vdotq_s32(sums, a, b);
#else
  // Two products of -128 … 127 with -127 … 127 fit 16 bits.
  return vpadalq_s16(sums, vpaddq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)), vmull_high_s8(a, b)));
#endif
}

// The 32 codes of a block, in the order of its activations; of 8 bits less 128.
typedef struct {
  int8x16_t part[2];
} block_bytes;

static inline __attribute__((always_inline)) block_bytes load_codes(const uint8_t *p, const unsigned bits,
                                                                    const bool is_mxfp4) {
  if (bits == 8) {
    const uint8x16_t middle = vdupq_n_u8(0x80);
    return (block_bytes){{vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p), middle)),
                          vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p + 16), middle))}};
  }
  const uint8x16_t bytes = vld1q_u8(p);
  uint8x16_t low = vandq_u8(bytes, vdupq_n_u8(15)), high = vshrq_n_u8(bytes, 4);
  if (is_mxfp4) {
    const uint8x16_t table = vld1q_u8(mxfp4_codes);
    low = vqtbl1q_u8(table, low), high = vqtbl1q_u8(table, high);
  }
  return (block_bytes){{vreinterpretq_s8_u8(low), vreinterpretq_s8_u8(high)}};
}

static inline block_bytes load_activations(const int8_t *x) { return (block_bytes){{vld1q_s8(x), vld1q_s8(x + 16)}}; }

// What codes of 8 bits leave out.
static inline int32x4_t left_out(block_bytes x) {
  const int8x16_t ones = vdupq_n_s8(1);
  return vdupq_n_s32(128 * vaddvq_s32(dot(dot(vdupq_n_s32(0), x.part[0], ones), x.part[1], ones)));
}

// MARK: Scales

static inline float32x4_t widen(uint16x4_t halves, const fovea_element element) {
  if (element == FOVEA_FLOAT16) return vcvt_f32_f16(vreinterpret_f16_u16(halves));
  return vreinterpretq_f32_u32(vshll_n_u16(halves, 16));
}

// Scales or biases of 4 columns from `column` on, as [groups, rounded up to 4][4]; columns past the last repeat it. The
// last groups overlap those before, so that vectors are full.
static inline __attribute__((always_inline)) void transpose_elements(const fovea_quantized_linear *work, size_t column,
                                                                     const void *base, float *target,
                                                                     const fovea_element element) {
  const size_t groups = work->depth / work->weights.group_size;
  ptrdiff_t offsets[4];
  for (size_t c = 0; c < 4; c++) offsets[c] = (ptrdiff_t)held_column(work, column + c) * work->weights.scale_stride;
  if (groups < 4) {
    for (size_t group = 0; group < groups; group++)
      for (size_t c = 0; c < 4; c++)
        target[group * 4 + c] = element_value(base, element, (size_t)(offsets[c] + (ptrdiff_t)group));
    return;
  }
  for (size_t first = 0; first < groups; first += 4) {
    const size_t start = first + 4 <= groups ? first : groups - 4;
    float32x4_t rows[4];
#pragma clang loop unroll(full)
    for (int c = 0; c < 4; c++) {
      const size_t index = (size_t)offsets[c] + start;
      if (element == FOVEA_FLOAT32) rows[c] = vld1q_f32((const float *)base + index);
      else rows[c] = widen(vld1_u16((const uint16_t *)base + index), element);
    }
    const float32x4x2_t low = vzipq_f32(rows[0], rows[2]), high = vzipq_f32(rows[1], rows[3]);
    const float32x4x2_t first_two = vzipq_f32(low.val[0], high.val[0]), last_two = vzipq_f32(low.val[1], high.val[1]);
    vst1q_f32(target + start * 4, first_two.val[0]);
    vst1q_f32(target + start * 4 + 4, first_two.val[1]);
    vst1q_f32(target + start * 4 + 8, last_two.val[0]);
    vst1q_f32(target + start * 4 + 12, last_two.val[1]);
  }
}

static void transpose_scales(const fovea_quantized_linear *work, size_t column, float *scales, float *biases) {
  const fovea_quantized_matrix *weights = &work->weights;
  if (weights->kind == FOVEA_MXFP4) {
    transpose_singly(work, column, VECTOR_COLUMNS, scales, biases);
    return;
  }
  const void *bases[2] = {weights->scales, weights->biases};
  float *targets[2] = {scales, biases};
  for (int i = 0; i < 2; i++) {
    switch (weights->scale_element) {
      case FOVEA_FLOAT32: transpose_elements(work, column, bases[i], targets[i], FOVEA_FLOAT32); break;
      case FOVEA_FLOAT16: transpose_elements(work, column, bases[i], targets[i], FOVEA_FLOAT16); break;
      case FOVEA_BFLOAT16: transpose_elements(work, column, bases[i], targets[i], FOVEA_BFLOAT16); break;
    }
  }
}

// total + one block's share.
static inline float32x4_t add_block(int32x4_t dots, const float *scale, float activation_scale, float32x4_t total) {
  return vfmaq_f32(total, vcvtq_f32_s32(dots), vmulq_f32(vld1q_f32(scale), vdupq_n_f32(activation_scale)));
}

static inline void store_totals(const fovea_quantized_linear *work, size_t row, size_t column, float32x4_t total) {
  float *out = work->outputs + (ptrdiff_t)row * work->output_stride + column;
  if (column + 4 <= work->column_count) {
    if (work->bias) total = vaddq_f32(total, vld1q_f32(work->bias + column));
    if (work->accumulates) total = vaddq_f32(vld1q_f32(out), total);
    vst1q_f32(out, total);
    return;
  }
  float totals[4];
  vst1q_f32(totals, total);
  for (size_t c = 0; column + c < work->column_count; c++) {
    if (work->bias) totals[c] += work->bias[column + c];
    out[c] = work->accumulates ? out[c] + totals[c] : totals[c];
  }
}

// MARK: A few rows

static inline __attribute__((always_inline)) float32x4_t few_row(const fovea_quantized_linear *work, const int8_t *x,
                                                                 const float *activation_scales,
                                                                 const uint8_t *const p[4], const float *scales,
                                                                 const unsigned bits, const bool is_mxfp4) {
  const size_t blocks = work->depth / FOVEA_CODE_BLOCK, per_group = work->weights.group_size / FOVEA_CODE_BLOCK;
  const size_t block_bytes_count = FOVEA_CODE_BLOCK * bits / 8;
  const uint8_t *ahead = p[0] + bytes_ahead(work, 4);
  float32x4_t total = vdupq_n_f32(0);
  for (size_t block = 0; block < blocks; block++) {
    const block_bytes activations = load_activations(x + block * FOVEA_CODE_BLOCK);
    int32x4_t s[4];
#pragma clang loop unroll(full)
    for (int c = 0; c < 4; c++) {
      if (bits == 8 || c % 2 == 0) __builtin_prefetch(ahead + (block * 4 + (size_t)c) * block_bytes_count);
      const block_bytes codes = load_codes(p[c] + block * block_bytes_count, bits, is_mxfp4);
      s[c] = dot(dot(vdupq_n_s32(0), codes.part[0], activations.part[0]), codes.part[1], activations.part[1]);
    }
    int32x4_t dots = vpaddq_s32(vpaddq_s32(s[0], s[1]), vpaddq_s32(s[2], s[3]));
    if (bits == 8) dots = vaddq_s32(dots, left_out(activations));
    total = add_block(dots, scales + block / per_group * VECTOR_COLUMNS, activation_scales[block], total);
  }
  return total;
}

static void multiply_row(const fovea_quantized_linear *work, size_t row, size_t column, const uint8_t *const p[4],
                         const float *scales, const float *biases) {
  const fovea_quantized_matrix *weights = &work->weights;
  const size_t blocks = work->depth / FOVEA_CODE_BLOCK, groups = work->depth / weights->group_size;
  const int8_t *x = work->codes + row * fovea_code_stride(work->depth);
  const float *activation_scales = work->scales + row * blocks, *sums = work->sums + row * groups;
  float32x4_t bias_total = vdupq_n_f32(0), total;
  for (size_t group = 0; group < groups; group++)
    bias_total = vfmaq_f32(bias_total, vld1q_f32(biases + group * VECTOR_COLUMNS), vdupq_n_f32(sums[group]));
  if (weights->bits == 8) total = few_row(work, x, activation_scales, p, scales, 8, false);
  else if (weights->kind == FOVEA_MXFP4) total = few_row(work, x, activation_scales, p, scales, 4, true);
  else total = few_row(work, x, activation_scales, p, scales, 4, false);
  store_totals(work, row, column, vaddq_f32(total, bias_total));
}

// MARK: Many rows

static inline block_bytes codes_of_block(const fovea_quantized_matrix *weights, size_t column, size_t block) {
  const uint8_t *p = weights->codes + (ptrdiff_t)column * weights->code_stride;
  if (weights->bits == 8) return load_codes(p + block * FOVEA_CODE_BLOCK, 8, false);
  if (weights->bits == 4) return load_codes(p + block * FOVEA_CODE_BLOCK / 2, 4, weights->kind == FOVEA_MXFP4);
  uint8_t codes[FOVEA_CODE_BLOCK];
  unpack_codes(weights, column, block * FOVEA_CODE_BLOCK, FOVEA_CODE_BLOCK, codes);
  return load_activations((const int8_t *)codes);
}

// Spreads the codes of a tile's columns: [blocks][8 steps][TILE_VECTORS], lane c of a vector holds 4 codes of column c.
static void spread_codes(const fovea_quantized_linear *work, size_t column, int32_t *spread) {
  const size_t blocks = work->depth / FOVEA_CODE_BLOCK;
  for (size_t c = 0; c < TILE_COLUMNS; c++) {
    for (size_t block = 0; block < blocks; block++) {
      const block_bytes codes = codes_of_block(&work->weights, held_column(work, column + c), block);
      int32_t words[8];
      memcpy(words, &codes, sizeof words);
      for (size_t step = 0; step < 8; step++) spread[(block * 8 + step) * TILE_COLUMNS + c] = words[step];
    }
  }
}

static inline __attribute__((always_inline)) void multiply_tile(const fovea_quantized_linear *work, size_t row,
                                                                size_t column, const int32_t *spread,
                                                                const float *scales, const float *biases,
                                                                size_t scale_count, const int rows,
                                                                const bool is_signed) {
  const size_t blocks = work->depth / FOVEA_CODE_BLOCK, groups = work->depth / work->weights.group_size;
  const size_t per_group = work->weights.group_size / FOVEA_CODE_BLOCK, code_stride = fovea_code_stride(work->depth);
  const int8_t *x = work->codes + row * code_stride;
  const float *activation_scales = work->scales + row * blocks, *sums = work->sums + row * groups;
  float32x4_t total[TILE_ROWS][TILE_VECTORS], bias_total[TILE_ROWS][TILE_VECTORS];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows * TILE_VECTORS; i++)
    total[i / TILE_VECTORS][i % TILE_VECTORS] = bias_total[i / TILE_VECTORS][i % TILE_VECTORS] = vdupq_n_f32(0);
  for (size_t block = 0; block < blocks; block++) {
    int32x4_t dots[TILE_ROWS][TILE_VECTORS];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      const int8_t *activations = x + (size_t)r * code_stride + block * FOVEA_CODE_BLOCK;
      const int32x4_t missing = is_signed ? left_out(load_activations(activations)) : vdupq_n_s32(0);
#pragma clang loop unroll(full)
      for (int v = 0; v < TILE_VECTORS; v++) dots[r][v] = missing;
    }
    const int32_t *steps = spread + block * 8 * TILE_COLUMNS;
#pragma clang loop unroll(full)
    for (int step = 0; step < 8; step++) {
#pragma clang loop unroll(full)
      for (int v = 0; v < TILE_VECTORS; v++) {
        const int8x16_t weights = vreinterpretq_s8_s32(vld1q_s32(steps + step * TILE_COLUMNS + 4 * v));
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
          int32_t four;
          memcpy(&four, x + (size_t)r * code_stride + block * FOVEA_CODE_BLOCK + 4 * (size_t)step, 4);
          dots[r][v] = dot(dots[r][v], weights, vreinterpretq_s8_s32(vdupq_n_s32(four)));
        }
      }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows * TILE_VECTORS; i++) {
      const size_t r = (size_t)(i / TILE_VECTORS), v = (size_t)(i % TILE_VECTORS);
      total[r][v] = add_block(dots[r][v], scales + v * scale_count + block / per_group * VECTOR_COLUMNS,
                              activation_scales[r * blocks + block], total[r][v]);
    }
  }
  for (size_t group = 0; group < groups; group++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < rows * TILE_VECTORS; i++) {
      const size_t r = (size_t)(i / TILE_VECTORS), v = (size_t)(i % TILE_VECTORS);
      const float32x4_t bias = vld1q_f32(biases + v * scale_count + group * VECTOR_COLUMNS);
      bias_total[r][v] = vfmaq_f32(bias_total[r][v], bias, vdupq_n_f32(sums[r * groups + group]));
    }
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < rows * TILE_VECTORS; i++) {
    const size_t r = (size_t)(i / TILE_VECTORS), v = (size_t)(i % TILE_VECTORS);
    store_totals(work, row + r, column + v * VECTOR_COLUMNS, vaddq_f32(total[r][v], bias_total[r][v]));
  }
}

// Codes of 8 bits are less 128.
#define NEEDS_CARE(weights) ((weights)->bits == 8)
#include "quantized_frame.h"
