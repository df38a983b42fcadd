// Rounding of a block of keys and values to codes, in plain loops that the compiler turns into what the instruction set
// has: a block is written once and read with every token.
#include <math.h>
#include <string.h>

#include "coded_layout.h"
#include "quantized.h"

static inline uint32_t float_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
// The next bfloat16 towards negative and towards positive infinity.
static inline float bfloat16_below(float x) {
  uint32_t bits = float_bits(x), cut = bits & 0xFFFF0000;
  return coded_float(x < 0 && cut != bits ? cut + 0x10000 : cut);
}
static inline float bfloat16_above(float x) { return -bfloat16_below(-x); }

// Scale and bias for numbers from `minimum` to `maximum`; with code 0 a group of equal numbers is exact as they are.
static inline uint32_t scale_and_bias(float minimum, float maximum, float spoiled, unsigned bits) {
  if (spoiled != spoiled) return 0x7FC07FC0;
  float bias = bfloat16_below(minimum), scale = bfloat16_above((maximum - bias) / (float)((1u << bits) - 1));
  // The inverse of a tiny scale overflows: such a group is its minimum.
  if (scale < 1e-38f) scale = 0;
  return float_bits(scale) | float_bits(bias) >> 16;
}

static inline uint8_t nearest_code(float x, uint32_t pair, unsigned bits) {
  float scale = coded_float(pair & 0xFFFF0000), levels = (float)((1u << bits) - 1);
  // Not a number: no code stands for it but the scale.
  if (!(scale > 0)) return 0;
  float code = nearbyintf((x - coded_float(pair << 16)) / scale);
  return (uint8_t)(code < levels ? code : levels);
}

static inline void put_code(uint8_t *byte, uint8_t code, unsigned bits, bool is_high) {
  if (bits == 8) *byte = code;
  else *byte = is_high ? (uint8_t)((*byte & 0x0F) | code << 4) : (uint8_t)((*byte & 0xF0) | code);
}

// 16 dimensions of the positions [first, first + count); zeros past the last dimension.
static void widen_columns(const void *rows, fovea_element element, ptrdiff_t stride, size_t first, size_t count,
                          size_t column, size_t dimension, float x[][CODED_LANES]) {
  const size_t columns = dimension - column < CODED_LANES ? dimension - column : CODED_LANES;
  for (size_t i = 0; i < count; i++) {
    const size_t start = (size_t)((ptrdiff_t)(first + i) * stride) + column;
    for (size_t j = 0; j < CODED_LANES; j++) x[i][j] = j < columns ? element_value(rows, element, start + j) : 0;
  }
}

// NaN where a number is no finite one, or too large.
static inline float spoil(float x) { return fabsf(x) <= 1e38f ? 0 : NAN; }

static void code_keys(const fovea_code_block *work) {
  const fovea_code_format *format = &work->format;
  uint32_t *pairs = work->block;
  uint8_t *codes = (uint8_t *)work->block + key_code_offset(format);
  float x[FOVEA_CODED_GROUP_LIMIT][CODED_LANES];
  for (size_t first = 0; first < FOVEA_KEY_BLOCK; first += format->group_size) {
    for (size_t column = 0; column < format->dimension; column += CODED_LANES) {
      widen_columns(work->keys, work->element, work->key_stride, first, format->group_size, column, format->dimension, x);
      float minimum[CODED_LANES], maximum[CODED_LANES], spoiled[CODED_LANES] = {0};
      for (size_t j = 0; j < CODED_LANES; j++) minimum[j] = maximum[j] = x[0][j];
      for (size_t i = 0; i < format->group_size; i++)
        for (size_t j = 0; j < CODED_LANES; j++) {
          minimum[j] = x[i][j] < minimum[j] ? x[i][j] : minimum[j];
          maximum[j] = x[i][j] > maximum[j] ? x[i][j] : maximum[j];
          spoiled[j] += spoil(x[i][j]);
        }
      uint32_t *target = pairs + key_scale_index(format, first, column);
      for (size_t j = 0; j < CODED_LANES; j++)
        target[j] = scale_and_bias(minimum[j], maximum[j], spoiled[j], format->bits);
      for (size_t i = 0; i < format->group_size; i++)
        for (size_t j = 0; j < CODED_LANES; j++) {
          bool is_high;
          uint8_t *byte = codes + key_byte(format, first + i, column + j, &is_high);
          put_code(byte, nearest_code(x[i][j], target[j], format->bits), format->bits, is_high);
        }
    }
  }
}

static void code_values(const fovea_code_block *work) {
  const fovea_code_format *format = &work->format;
  uint32_t *pairs = (uint32_t *)((uint8_t *)work->block + value_scale_offset(format));
  uint8_t *codes = (uint8_t *)work->block + value_code_offset(format);
  for (size_t position = 0; position < FOVEA_KEY_BLOCK; position++) {
    for (size_t first = 0; first < format->dimension; first += format->group_size) {
      float x[FOVEA_CODED_GROUP_LIMIT / CODED_LANES][CODED_LANES];
      const size_t left = format->dimension - first, count = left < format->group_size ? left : format->group_size;
      for (size_t i = 0; i < count; i += CODED_LANES)
        widen_columns(work->values, work->element, work->value_stride, position, 1, first + i, format->dimension,
                      x + i / CODED_LANES);
      const float *numbers = x[0];
      float minimum = numbers[0], maximum = numbers[0], spoiled = 0;
      for (size_t i = 0; i < count; i++) {
        minimum = numbers[i] < minimum ? numbers[i] : minimum;
        maximum = numbers[i] > maximum ? numbers[i] : maximum;
        spoiled += spoil(numbers[i]);
      }
      const uint32_t pair = scale_and_bias(minimum, maximum, spoiled, format->bits);
      pairs[value_scale_index(format, position, first)] = pair;
      for (size_t i = 0; i < (count + 15) / 16 * 16; i++) {
        bool is_high;
        uint8_t *byte = codes + value_byte(format, position, first + i, &is_high);
        put_code(byte, i < count ? nearest_code(numbers[i], pair, format->bits) : 0, format->bits, is_high);
      }
    }
  }
}

static void code_block(const fovea_code_block *work) {
  code_keys(work);
  code_values(work);
}
