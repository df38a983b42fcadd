// Keys and values of a cache in codes of 8 or 4 bits: each number is scale * code + bias, with a bfloat16 scale and bias
// for every group of dimensions of one position.
#ifndef FOVEA_CODED_H
#define FOVEA_CODED_H

#include <stddef.h>
#include <stdint.h>

#include "fovea_element.h"

typedef struct {
  unsigned bits;      // 8 or 4
  size_t group_size;  // dimensions that share a scale and a bias: a multiple of 16; the last group may have fewer
  size_t dimension;   // of keys and of values
} fovea_code_format;

// FOVEA_KEY_BLOCK positions of one head make a block, the same in every table: what is loaded together lies together,
// so that neither packing nor transposing is needed. With n the dimension rounded up to 16, b = 32 / bits numbers in 32
// bits, and g groups:
//   keys          [position / 16][n / b][position % 16] of 32 bits: b dimensions each
//   key scales    [position / 16][g][position % 16] of 32 bits: the scale in the upper half, the bias in the lower
//   value scales  [g][position] of 32 bits
//   values        [position / b][n] of 32 bits: b positions each
// Byte j of 32 bits is number j; with 4 bits its lower half is number j and its upper half number j + 4.
size_t fovea_coded_block_byte_count(const fovea_code_format *format);
size_t fovea_coded_group_count(const fovea_code_format *format);
// `dimension` rounded up to 16.
size_t fovea_coded_dimension(const fovea_code_format *format);
size_t fovea_coded_scratch_byte_count(const fovea_code_format *format);

// Writes one position of a block, which the positions beside it share bytes with: those 8 or 16 to a run from a multiple
// of 16 must be written by one thread at a time.
//
// With L = 2^bits - 1, bias is the group's minimum rounded down and scale (maximum - bias) / L rounded up, to bfloat16;
// code = (x - bias) / scale to the nearest. A group that holds NaN, an infinity or a magnitude above 1e38 becomes NaN.
typedef struct {
  fovea_code_format format;
  const float *key;    // [dimension]
  const float *value;  // [dimension]
  void *block;
  size_t position;  // inside the block
} fovea_coded_position;

// Reads one position back. NaN groups give NaN.
void fovea_decode_position(const fovea_code_format *format, const void *block, size_t position, float *key,
                           float *value);

// Rounds queries to 8 bits: scale = max|q| / 127 of a group and code = q / scale to the nearest. A group that holds an
// infinity or NaN gets the scale NaN.
typedef struct {
  fovea_code_format format;
  const void *queries;  // [row_count, dimension]
  ptrdiff_t stride;
  fovea_element element;
  size_t row_count;
  int8_t *codes;  // [row_count, dimension rounded up to 16], 4-byte aligned
  float *scales;  // [row_count, groups]
  float *sums;    // [row_count, groups], the sum of the group's codes
} fovea_query_codes;

#endif
