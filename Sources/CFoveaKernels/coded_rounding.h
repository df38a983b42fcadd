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

// What 16 numbers are rounded with, one lane each.
typedef struct {
  float scale[CODED_LANES];
  float bias[CODED_LANES];
} rounding_lanes;

static inline void set_lane(rounding_lanes *lanes, size_t lane, uint32_t pair) {
  const float scale = coded_float(pair & 0xFFFF0000);
  lanes->scale[lane] = scale > 0 ? scale : INFINITY;
  lanes->bias[lane] = coded_float(pair << 16);
}

// NaN gets the code 0: no code stands for it but the scale.
static inline void round_lanes(const float *x, const rounding_lanes *lanes, unsigned bits, uint8_t *codes) {
  const float levels = (float)((1u << bits) - 1);
  for (size_t j = 0; j < CODED_LANES; j++) {
    float code = nearbyintf((x[j] - lanes->bias[j]) / lanes->scale[j]);
    code = code > 0 ? code : 0;
    codes[j] = (uint8_t)(int32_t)(code < levels ? code : levels);
  }
}

// 16 dimensions of one position; zeros past the last one.
static inline void widen_columns(const void *rows, fovea_element element, ptrdiff_t stride, size_t position,
                                 size_t column, size_t dimension, float *x) {
  const size_t start = (size_t)((ptrdiff_t)position * stride) + column;
  if (dimension - column >= CODED_LANES && element == FOVEA_BFLOAT16) {
    const uint16_t *p = (const uint16_t *)rows + start;
    for (size_t j = 0; j < CODED_LANES; j++) x[j] = coded_float((uint32_t)p[j] << 16);
    return;
  }
  for (size_t j = 0; j < CODED_LANES; j++)
    x[j] = column + j < dimension ? element_value(rows, element, start + j) : 0;
}

typedef struct {
  float minimum[CODED_LANES];
  float maximum[CODED_LANES];
  float spoiled[CODED_LANES];  // NaN where a number is no finite one, or too large
} number_range;

static inline void start_range(number_range *range) {
  for (size_t j = 0; j < CODED_LANES; j++)
    range->minimum[j] = INFINITY, range->maximum[j] = -INFINITY, range->spoiled[j] = 0;
}

static inline void extend_range(number_range *range, const float *x, size_t count) {
  for (size_t j = 0; j < count; j++) {
    range->minimum[j] = x[j] < range->minimum[j] ? x[j] : range->minimum[j];
    range->maximum[j] = x[j] > range->maximum[j] ? x[j] : range->maximum[j];
    range->spoiled[j] += fabsf(x[j]) <= 1e38f ? 0 : NAN;
  }
}

// Codes of neighbours, 4 or 8 of them from `codes` on with `stride` between, as 32 bits.
static inline void store_word(uint8_t *word, const uint8_t *codes, size_t stride, unsigned bits) {
  for (size_t j = 0; j < 4; j++)
    word[j] = (uint8_t)(bits == 8 ? codes[j * stride] : codes[j * stride] | codes[(j + 4) * stride] << 4);
}

static void code_keys(const fovea_code_block *work) {
  const fovea_code_format *format = &work->format;
  const size_t per_word = codes_per_word(format);
  uint8_t *target = (uint8_t *)work->block + key_code_offset(format);
  float x[FOVEA_CODED_GROUP_LIMIT][CODED_LANES];
  for (size_t first = 0; first < FOVEA_KEY_BLOCK; first += format->group_size) {
    for (size_t column = 0; column < format->dimension; column += CODED_LANES) {
      number_range range;
      start_range(&range);
      for (size_t i = 0; i < format->group_size; i++) {
        widen_columns(work->keys, work->element, work->key_stride, first + i, column, format->dimension, x[i]);
        extend_range(&range, x[i], CODED_LANES);
      }
      uint32_t *pairs = (uint32_t *)work->block + key_scale_index(format, first, column);
      rounding_lanes lanes;
      for (size_t j = 0; j < CODED_LANES; j++) {
        pairs[j] = scale_and_bias(range.minimum[j], range.maximum[j], range.spoiled[j], format->bits);
        set_lane(&lanes, j, pairs[j]);
      }
      for (size_t i = 0; i < format->group_size; i++) {
        uint8_t codes[CODED_LANES];
        bool is_high;
        round_lanes(x[i], &lanes, format->bits, codes);
        for (size_t j = 0; j < CODED_LANES; j += per_word)
          store_word(target + key_byte(format, first + i, column + j, &is_high), codes + j, 1, format->bits);
      }
    }
  }
}

// The codes of one group of dimensions of one position, whose scale and bias it stores.
static void code_value_group(const fovea_code_block *work, size_t position, size_t first, uint8_t *codes) {
  const fovea_code_format *format = &work->format;
  const size_t left = format->dimension - first, count = left < format->group_size ? left : format->group_size;
  float x[FOVEA_CODED_GROUP_LIMIT];
  number_range range;
  start_range(&range);
  for (size_t i = 0; i < count; i += CODED_LANES) {
    widen_columns(work->values, work->element, work->value_stride, position, first + i, format->dimension, x + i);
    extend_range(&range, x + i, count - i < CODED_LANES ? count - i : CODED_LANES);
  }
  for (size_t j = 1; j < CODED_LANES; j++) {
    range.minimum[0] = range.minimum[j] < range.minimum[0] ? range.minimum[j] : range.minimum[0];
    range.maximum[0] = range.maximum[j] > range.maximum[0] ? range.maximum[j] : range.maximum[0];
    range.spoiled[0] += range.spoiled[j];
  }
  const uint32_t pair = scale_and_bias(range.minimum[0], range.maximum[0], range.spoiled[0], format->bits);
  uint32_t *pairs = (uint32_t *)((uint8_t *)work->block + value_scale_offset(format));
  pairs[value_scale_index(format, position, first)] = pair;
  rounding_lanes lanes;
  for (size_t j = 0; j < CODED_LANES; j++) set_lane(&lanes, j, pair);
  for (size_t i = 0; i < count; i += CODED_LANES) round_lanes(x + i, &lanes, format->bits, codes + i);
}

static void code_values(const fovea_code_block *work) {
  const fovea_code_format *format = &work->format;
  const size_t per_word = codes_per_word(format), padded = coded_dimension(format);
  uint8_t *target = (uint8_t *)work->block + value_code_offset(format);
  for (size_t first = 0; first < format->dimension; first += format->group_size) {
    const size_t left = padded - first, count = left < format->group_size ? left : format->group_size;
    for (size_t position = 0; position < FOVEA_KEY_BLOCK; position += per_word) {
      uint8_t codes[8][FOVEA_CODED_GROUP_LIMIT];
      for (size_t i = 0; i < per_word; i++) code_value_group(work, position + i, first, codes[i]);
      for (size_t i = 0; i < count; i++)
        store_word(target + 4 * (position / per_word * padded + first + i), codes[0] + i, FOVEA_CODED_GROUP_LIMIT,
                   format->bits);
    }
  }
}

static void code_block(const fovea_code_block *work) {
  code_keys(work);
  code_values(work);
}
