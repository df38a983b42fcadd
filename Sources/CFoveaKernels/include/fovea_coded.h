// Keys and values of a cache in codes of 8 or 4 bits: each number is scale * code + bias. Scales and biases of keys belong
// to one dimension of neighbouring positions, those of values to neighbouring dimensions of one position, since keys have
// dimensions that are large everywhere (Liu et al. 2024, arXiv 2402.02750).
#ifndef FOVEA_CODED_H
#define FOVEA_CODED_H

#include <stddef.h>
#include <stdint.h>

#include "fovea_element.h"

typedef struct {
  unsigned bits;      // 8 or 4
  size_t group_size;  // positions of keys, dimensions of values that share a scale and a bias: 32 or 64
  size_t dimension;   // of keys and of values
} fovea_code_format;

// FOVEA_KEY_BLOCK positions of one head make a block, the same in every table: what is loaded together lies together,
// so that neither packing nor transposing is needed. With n the dimension rounded up to 16, b = 32 / bits numbers in 32
// bits, and g groups of dimensions:
//   key scales    [position / group_size][n] of 32 bits: the scale in the upper half, the bias in the lower, as bfloat16
//   keys          [position / 16][n / b][position % 16] of 32 bits: b dimensions each
//   value scales  [g][position] of 32 bits
//   values        [position / b][n] of 32 bits: b positions each
// Byte j of 32 bits is number j; with 4 bits its lower half is number j and its upper half number j + 4.
size_t fovea_coded_block_byte_count(const fovea_code_format *format);
// `dimension` rounded up to 16.
size_t fovea_coded_dimension(const fovea_code_format *format);
size_t fovea_coded_scratch_byte_count(const fovea_code_format *format);

// Writes a whole block. With L = 2^bits - 1, bias is the group's minimum rounded down and scale (maximum - bias) / L
// rounded up, to bfloat16; code = (x - bias) / scale to the nearest. A group that holds NaN, an infinity or a magnitude
// above 1e38 becomes NaN.
typedef struct {
  fovea_code_format format;
  const void *keys;  // [FOVEA_KEY_BLOCK, dimension]
  ptrdiff_t key_stride;
  const void *values;  // [FOVEA_KEY_BLOCK, dimension]
  ptrdiff_t value_stride;
  fovea_element element;
  void *block;
} fovea_code_block;

// Reads one position back. NaN groups give NaN.
void fovea_decode_position(const fovea_code_format *format, const void *block, size_t position, float *key,
                           float *value);

#endif
