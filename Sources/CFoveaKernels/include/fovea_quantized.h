// Products with quantised weights: codes of 2 to 8 bits in groups along the depth, activations rounded to 8 bits.
#ifndef FOVEA_QUANTIZED_H
#define FOVEA_QUANTIZED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fovea_element.h"

typedef enum {
  FOVEA_AFFINE = 0,  // scale * code + bias
  FOVEA_MXFP4 = 1,   // 2^(scale - 127) * the 4-bit float (sign, 2 exponent bits, 1 of fraction); groups of 32, no biases
} fovea_quantization;

// A matrix [rows, depth]. The codes of a row are one stream of bits, lowest first, from a whole byte on.
typedef struct {
  const uint8_t *codes;
  ptrdiff_t code_stride;  // bytes from row to row
  const void *scales;     // [rows, depth / group_size] of scale_element; bytes for FOVEA_MXFP4
  const void *biases;     // the same; not used for FOVEA_MXFP4
  ptrdiff_t scale_stride;  // elements from row to row
  fovea_element scale_element;
  fovea_quantization kind;
  unsigned bits;      // 2, 3, 4, 5, 6 or 8; 4 for FOVEA_MXFP4
  size_t group_size;  // a multiple of FOVEA_CODE_BLOCK that divides the depth
} fovea_quantized_matrix;

// Activations that share one scale.
#define FOVEA_CODE_BLOCK 32

// Rounds rows of activations for products with weights of that many bits in groups of that size: for each block
// scale = max|x| / 127 and code = x / scale to the nearest; for each group sum = the sum of scale * code of its blocks, in order.
// A block that holds an infinity or NaN gets the scale NaN. The order of the codes is private to the table.
typedef struct {
  const void *inputs;  // [row_count, depth]
  ptrdiff_t input_stride;
  fovea_element input_element;
  size_t row_count;
  size_t depth;
  size_t group_size;
  unsigned bits;
  int8_t *codes;  // [row_count, fovea_code_stride(depth)], 64-byte aligned
  float *scales;  // [row_count, depth / FOVEA_CODE_BLOCK]
  float *sums;    // [row_count, depth / group_size]
} fovea_activation_codes;

// outputs[r, c] = (sum over blocks b of (scale[c, group of b] * scale[r, b]) * (codes[r] . codes[c])_b)
//                 + (sum over groups g of bias[c, g] * sum[r, g])   (+ bias[c]) (+ the old outputs[r, c])
//
// The integer sums are exact and the float ones have one order, fused: the bits are the same for one row and many, and
// in every table.
typedef struct {
  const int8_t *codes;
  const float *scales;
  const float *sums;
  fovea_quantized_matrix weights;  // its first row belongs to the first output
  const float *bias;               // [column_count], or null
  float *outputs;                  // [row_count, column_count]
  ptrdiff_t output_stride;
  size_t row_count;
  size_t column_count;
  size_t depth;
  bool accumulates;
  void *scratch;  // fovea_quantized_scratch_byte_count(depth) bytes, 64-byte aligned
} fovea_quantized_linear;

size_t fovea_code_stride(size_t depth);
size_t fovea_quantized_scratch_byte_count(size_t depth);
// outputs[i] = weight i of a row as float32: scale * code + bias, fused.
void fovea_dequantize_row(const fovea_quantized_matrix *weights, size_t row, size_t depth, float *outputs);

#endif
