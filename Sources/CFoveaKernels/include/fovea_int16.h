// Rows of float32 rounded to integers of 16 bits, the factors of `packed_linear_int16`. Part of fovea_kernels.h.
#ifndef FOVEA_INT16_H
#define FOVEA_INT16_H

#include <stddef.h>

// Elements of a row that share a scale where float32 is rounded to integers of 16 bits.
#define FOVEA_INT16_GROUP 128

// Rounds rows of float32 to integers of 16 bits with a scale a group; the last group has what is left. The scale gives the
// group's integers a length (the root of the sum of their squares) of 32,760, so that no sum of the products of two groups
// leaves 32 bits, in whatever order it is made. Error: half a scale an element, 1e-4 of the root mean square of a full
// group. A group with an infinite or NaN element, or whose length leaves float32, has the scale NaN and integers of 0.
//
// A row are the integers, zeros up to 2 * fovea_int16_step_count(depth), and the scales.
typedef struct {
  const float *inputs;  // [row_count, depth]
  ptrdiff_t input_stride;
  size_t row_count;
  size_t depth;
  void *rows;            // [row_count]
  ptrdiff_t row_stride;  // in 4 bytes, at least fovea_int16_row_size(depth)
} fovea_int16_rows;

// Lays rounded rows of weights out for packed_linear_int16. Whole calls of at most 64 columns begin their memory; it has
// fovea_int16_row_size(depth) * 4 bytes for each column, up to a multiple of 64 columns.
typedef struct {
  const void *rows;  // [count] as fovea_int16_rows makes them
  ptrdiff_t row_stride;
  size_t count;
  size_t depth;
  size_t first;  // the first row's column
  void *packed;
} fovea_int16_pack;

// Integers of a row in pairs, of which there is a multiple of 4.
static inline size_t fovea_int16_step_count(size_t depth) { return (depth + 7) / 8 * 4; }
static inline size_t fovea_int16_group_count(size_t depth) { return (depth + FOVEA_INT16_GROUP - 1) / FOVEA_INT16_GROUP; }
// What a row takes, in 4 bytes.
static inline size_t fovea_int16_row_size(size_t depth) { return fovea_int16_step_count(depth) + fovea_int16_group_count(depth); }

#endif
