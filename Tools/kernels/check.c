// Compares every vector table of CFoveaKernels with the scalar reference, without Swift: for instruction sets that this
// machine can only emulate. `run` beside it builds and starts it. Exits with 1 at the first difference.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../Sources/CFoveaKernels/tables.h"

static uint64_t state = 1;
static float next_value(void) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  float value = (float)(int64_t)(state >> 33) / 1073741824.0f - 1;
  return state >> 58 == 0 ? value * 8 : value;
}

static void fail(const char *table, const char *what, size_t index, double expected, double got) {
  printf("%s: %s at %zu: expected %.9g, got %.9g\n", table, what, index, expected, got);
  exit(1);
}

static void compare(const char *table, const char *what, const float *expected, const float *got, size_t count,
                    double tolerance) {
  for (size_t i = 0; i < count; i++) {
    double error = fabs((double)expected[i] - (double)got[i]);
    if (!(error <= tolerance * (1 + fabs((double)expected[i])))) fail(table, what, i, (double)expected[i], (double)got[i]);
  }
}

enum { ROWS = 17, COLUMNS = 35, DEPTH = 77 };

static void check_linear(const fovea_kernels *table, fovea_element activation, fovea_element weight) {
  const fovea_kernels *scalar = &fovea_kernels_scalar;
  static float x[ROWS * DEPTH], w[COLUMNS * DEPTH], expected[ROWS * COLUMNS], got[ROWS * COLUMNS];
  static char stored_x[sizeof x], stored_w[sizeof w];
  for (size_t i = 0; i < ROWS * DEPTH; i++) x[i] = next_value();
  for (size_t i = 0; i < COLUMNS * DEPTH; i++) w[i] = next_value();
  scalar->convert(x, FOVEA_FLOAT32, stored_x, activation, ROWS * DEPTH);
  scalar->convert(w, FOVEA_FLOAT32, stored_w, weight, COLUMNS * DEPTH);
  for (size_t depth = 0; depth <= DEPTH; depth++) {
    fovea_linear work = {stored_x, (ptrdiff_t)depth, stored_w, (ptrdiff_t)depth, NULL, expected, COLUMNS,
                         ROWS,     COLUMNS,          depth,    false};
    scalar->linear[activation][weight](&work);
    work.outputs = got;
    table->linear[activation][weight](&work);
    compare(table->name, "linear", expected, got, ROWS * COLUMNS, 2e-5);
    // Packing changes no bit; the reference has none.
    if (!table->pack_rows[activation]) continue;
    static _Alignas(64) char panels[COLUMNS * (DEPTH + 96) * 4], packed[24 * (DEPTH + 96) * 4];
    fovea_row_pack pack = {stored_x, (ptrdiff_t)depth, ROWS, 0, depth, depth, packed};
    table->pack_rows[activation](&pack);
    memcpy(expected, got, sizeof got);
    work.packed_activations = packed;
    work.panels = panels;
    table->linear[activation][weight](&work);
    compare(table->name, "linear from panels", expected, got, ROWS * COLUMNS, 0);
  }
}

static void check_elementwise(const fovea_kernels *table) {
  const fovea_kernels *scalar = &fovea_kernels_scalar;
  static float a[100], b[100], c[100], expected[100], got[100];
  for (size_t i = 0; i < 100; i++) a[i] = next_value(), b[i] = next_value(), c[i] = next_value();
  for (size_t count = 1; count < 100; count++) {
    fovea_rms_norm norm = {a, 0, b, 1e-5f, expected, 0, FOVEA_FLOAT32, 1, count};
    scalar->rms_norm(&norm);
    norm.outputs = got;
    table->rms_norm(&norm);
    compare(table->name, "rms_norm", expected, got, count, 1e-5);
    fovea_layer_norm layer = {a, 0, b, c, 1e-5f, expected, 0, FOVEA_FLOAT32, 1, count};
    scalar->layer_norm(&layer);
    layer.outputs = got;
    table->layer_norm(&layer);
    compare(table->name, "layer_norm", expected, got, count, 1e-5);
    for (fovea_activation_kind kind = FOVEA_SILU; kind <= FOVEA_CLAMPED_SWISH; kind++) {
      fovea_activation activation = {kind, a, b, 1.7f, 1.5f, expected, FOVEA_FLOAT32, count};
      scalar->activate(&activation);
      activation.outputs = got;
      table->activate(&activation);
      compare(table->name, "activate", expected, got, count, 1e-5);
    }
    memcpy(expected, c, sizeof c), memcpy(got, c, sizeof c);
    scalar->add_scaled(a, 0.3f, expected, count);
    table->add_scaled(a, 0.3f, got, count);
    compare(table->name, "add_scaled", expected, got, count, 1e-6);
    scalar->soft_cap(a, 2, expected, count);
    table->soft_cap(a, 2, got, count);
    compare(table->name, "soft_cap", expected, got, count, 1e-6);
    scalar->rotate(a, b, c, count / 2, count, expected, FOVEA_FLOAT32);
    table->rotate(a, b, c, count / 2, count, got, FOVEA_FLOAT32);
    compare(table->name, "rotate", expected, got, count, 1e-5);
    if (!(fabs(scalar->log_sum_exp(a, count) - table->log_sum_exp(a, count)) <= 1e-5))
      fail(table->name, "log_sum_exp", count, scalar->log_sum_exp(a, count), table->log_sum_exp(a, count));
    for (fovea_element element = FOVEA_FLOAT16; element <= FOVEA_BFLOAT16; element++) {
      uint16_t narrow[2][100];
      scalar->convert(a, FOVEA_FLOAT32, narrow[0], element, count);
      table->convert(a, FOVEA_FLOAT32, narrow[1], element, count);
      if (memcmp(narrow[0], narrow[1], count * 2) != 0) fail(table->name, "convert", count, 0, 0);
      table->convert(narrow[0], element, got, FOVEA_FLOAT32, count);
      scalar->convert(narrow[0], element, expected, FOVEA_FLOAT32, count);
      compare(table->name, "widen", expected, got, count, 0);
    }
  }
}

// One block of attention; float32 tile. Read in place where `in_place` asks for it and the table can.
static void attend(const fovea_kernels *table, const float *q, const float *k, const float *v, size_t rows, size_t keys,
                   size_t dimension, bool in_place, float *outputs) {
  size_t padded = fovea_padded_value_dimension(dimension);
  void *queries = aligned_alloc(64, fovea_packed_query_byte_count(FOVEA_TILE_FLOAT32, rows, dimension));
  void *packed_keys = aligned_alloc(64, fovea_packed_key_byte_count(FOVEA_TILE_FLOAT32, dimension));
  void *packed_values = aligned_alloc(64, fovea_packed_value_byte_count(FOVEA_TILE_FLOAT32, dimension));
  void *scratch = aligned_alloc(64, fovea_attention_scratch_byte_count(FOVEA_TILE_FLOAT32, dimension));
  float *maxima = malloc(rows * 4), *sums = malloc(rows * 4), *state = malloc(rows * padded * 4);
  int32_t *begins = malloc(rows * 4), *ends = malloc(rows * 4);
  ptrdiff_t stride = (ptrdiff_t)dimension;
  fovea_pack pack = {q, stride, FOVEA_FLOAT32, rows, dimension, 0, queries};
  table->pack_queries[FOVEA_TILE_FLOAT32](&pack);
  // Two runs, of which the first ends inside a vector.
  size_t cut = keys / 2;
  for (int part = 0; part < 2; part++) {
    size_t first = part == 0 ? 0 : cut, count = part == 0 ? cut : keys - cut;
    pack = (fovea_pack){k + first * dimension, stride, FOVEA_FLOAT32, count, dimension, first, packed_keys};
    table->pack_keys[FOVEA_TILE_FLOAT32](&pack);
    pack = (fovea_pack){v + first * dimension, stride, FOVEA_FLOAT32, count, dimension, first, packed_values};
    table->pack_values[FOVEA_TILE_FLOAT32](&pack);
  }
  for (size_t row = 0; row < rows; row++) {
    maxima[row] = -INFINITY, sums[row] = 0, begins[row] = (int32_t)(row % 3), ends[row] = (int32_t)(keys - row % 5);
    memset(state + row * padded, 0, padded * 4);
  }
  fovea_attention_block work = {queries, packed_keys, packed_values, rows,  keys,    dimension, dimension, 0.2f, 0,
                                begins,  ends,        NULL,          maxima, sums,   state,     scratch,   false};
  fovea_attention_rows in_rows = {work, k, stride, FOVEA_FLOAT32, v, stride, FOVEA_FLOAT32, true};
  if (!in_place || !table->attention_rows[FOVEA_TILE_FLOAT32](&in_rows)) table->attention[FOVEA_TILE_FLOAT32](&work);
  for (size_t row = 0; row < rows; row++)
    for (size_t i = 0; i < dimension; i++) outputs[row * dimension + i] = state[row * padded + i] / sums[row];
  free(queries), free(packed_keys), free(packed_values), free(scratch);
  free(maxima), free(sums), free(state), free(begins), free(ends);
}

static void check_attention(const fovea_kernels *table) {
  enum { MOST_ROWS = 31, MOST_KEYS = 256, MOST_DIMENSION = 96 };
  static float q[MOST_ROWS * MOST_DIMENSION], k[MOST_KEYS * MOST_DIMENSION], v[MOST_KEYS * MOST_DIMENSION];
  static float expected[MOST_ROWS * MOST_DIMENSION], got[MOST_ROWS * MOST_DIMENSION];
  static float in_place[FOVEA_DIRECT_ROWS * MOST_DIMENSION];
  for (size_t i = 0; i < sizeof q / 4; i++) q[i] = next_value();
  for (size_t i = 0; i < sizeof k / 4; i++) k[i] = next_value(), v[i] = next_value();
  const size_t dimensions[] = {1, 4, 17, 32, 64, 80, 96}, key_counts[] = {7, 8, 43, 130, 256};
  for (size_t d = 0; d < 7; d++)
    for (size_t n = 0; n < 5; n++)
      for (size_t rows = 1; rows <= MOST_ROWS; rows += 6) {
        attend(&fovea_kernels_scalar, q, k, v, rows, key_counts[n], dimensions[d], false, expected);
        attend(table, q, k, v, rows, key_counts[n], dimensions[d], false, got);
        compare(table->name, "attention", expected, got, rows * dimensions[d], 1e-5);
        if (rows > FOVEA_DIRECT_ROWS || !table->attention_rows[FOVEA_TILE_FLOAT32]) continue;
        attend(table, q, k, v, rows, key_counts[n], dimensions[d], true, in_place);
        if (memcmp(got, in_place, rows * dimensions[d] * 4) != 0) fail(table->name, "attention in place", rows, 0, 0);
      }
}

// One block of attention over codes, which `coder` made; rows see up to `keys` of them.
static void attend_coded(const fovea_kernels *coder, const fovea_kernels *table, fovea_code_format format, const float *q,
                         const float *k, const float *v, size_t rows, size_t keys, float *outputs) {
  size_t dimension = format.dimension, padded = fovea_coded_dimension(&format);
  void *block = aligned_alloc(64, fovea_coded_block_byte_count(&format));
  memset(block, 0xFF, fovea_coded_block_byte_count(&format));
  void *scratch = malloc(fovea_coded_scratch_byte_count(&format));
  float *queries = calloc(rows * padded, 4);
  float *maxima = malloc(rows * 4), *sums = malloc(rows * 4), *state = malloc(rows * padded * 4);
  int32_t *begins = malloc(rows * 4), *ends = malloc(rows * 4);
  ptrdiff_t stride = (ptrdiff_t)dimension;
  fovea_code_block rounding = {format, k, stride, v, stride, FOVEA_FLOAT32, block};
  coder->code_block(&rounding);
  for (size_t row = 0; row < rows; row++) {
    memcpy(queries + row * padded, q + row * dimension, dimension * 4);
    maxima[row] = -INFINITY, sums[row] = 0, begins[row] = (int32_t)(row % 3), ends[row] = (int32_t)(keys - row % 5);
    memset(state + row * padded, 0, padded * 4);
  }
  fovea_coded_attention work = {{NULL, NULL, NULL, rows, FOVEA_KEY_BLOCK, dimension, dimension, 0.2f, 0, begins, ends,
                                 NULL, maxima, sums, state, scratch, false},
                                format, block, queries};
  table->coded_attention(&work);
  for (size_t row = 0; row < rows; row++)
    for (size_t i = 0; i < dimension; i++) outputs[row * dimension + i] = state[row * padded + i] / sums[row];
  free(block), free(scratch), free(queries);
  free(maxima), free(sums), free(state), free(begins), free(ends);
}

static void check_coded(const fovea_kernels *table) {
  enum { MOST_ROWS = 13, MOST_KEYS = 256, MOST_DIMENSION = 96 };
  static float q[MOST_ROWS * MOST_DIMENSION], k[MOST_KEYS * MOST_DIMENSION], v[MOST_KEYS * MOST_DIMENSION];
  static float expected[MOST_ROWS * MOST_DIMENSION], got[MOST_ROWS * MOST_DIMENSION], alone[MOST_DIMENSION];
  for (size_t i = 0; i < sizeof q / 4; i++) q[i] = next_value();
  for (size_t i = 0; i < sizeof k / 4; i++) k[i] = next_value(), v[i] = next_value();
  const size_t dimensions[] = {1, 16, 33, 48, 64, 80, 96}, key_counts[] = {7, 8, 43, 130, 256};
  for (size_t form = 0; form < 4; form++)
    for (size_t d = 0; d < 7; d++)
      for (size_t n = 0; n < 5; n++)
        for (size_t rows = 1; rows <= MOST_ROWS; rows += rows < 4 ? 1 : 9) {
          fovea_code_format format = {form % 2 ? 4 : 8, form / 2 ? 64 : 32, dimensions[d]};
          const fovea_kernels *scalar = &fovea_kernels_scalar;
          attend_coded(scalar, scalar, format, q, k, v, rows, key_counts[n], expected);
          attend_coded(table, table, format, q, k, v, rows, key_counts[n], got);
          compare(table->name, "coded attention", expected, got, rows * dimensions[d], 5e-3);
          // The first row sees what it sees alone.
          attend_coded(table, table, format, q, k, v, 1, key_counts[n], alone);
          if (memcmp(got, alone, dimensions[d] * 4) != 0) fail(table->name, "coded attention of one row", rows, 0, 0);
        }
}

// The integer sums are exact and the float ones have one order: every table gives the same bits.
static void check_quantized(const fovea_kernels *table) {
  enum { MOST_ROWS = 9, MOST_COLUMNS = 37, MOST_DEPTH = 384, MOST_GROUPS = MOST_DEPTH / 32 };
  static uint8_t codes[MOST_COLUMNS * MOST_DEPTH], bytes[MOST_COLUMNS * MOST_GROUPS];
  static float x[MOST_ROWS * MOST_DEPTH], scales[MOST_COLUMNS * MOST_GROUPS], biases[MOST_COLUMNS * MOST_GROUPS];
  static uint16_t half_scales[MOST_COLUMNS * MOST_GROUPS], half_biases[MOST_COLUMNS * MOST_GROUPS];
  static float outputs[2][MOST_ROWS * MOST_COLUMNS];
  const fovea_kernels *tables[2] = {&fovea_kernels_scalar, table};
  const unsigned bits[] = {2, 3, 4, 5, 6, 8, 4};
  const size_t depths[] = {32, 96, 128, 384}, columns[] = {1, 4, 16, 37}, rows[] = {1, 3, 5, 9};
  for (size_t i = 0; i < sizeof codes; i++) codes[i] = (uint8_t)(int)(next_value() * 1000);
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(120 + i % 11);
  for (size_t i = 0; i < sizeof x / 4; i++) x[i] = next_value();
  for (size_t i = 0; i < sizeof scales / 4; i++) scales[i] = next_value(), biases[i] = next_value();
  for (size_t kind = 0; kind < 7; kind++)
    for (int element = 0; element < FOVEA_ELEMENT_COUNT; element++)
      for (size_t shape = 0; shape < 64; shape++) {
        const size_t depth = depths[shape % 4], column_count = columns[shape / 4 % 4], row_count = rows[shape / 16];
        const size_t group_size = kind < 6 && depth % 64 == 0 ? 64 : 32, groups = depth / group_size;
        const void *held_scales = scales, *held_biases = biases;
        if (element != FOVEA_FLOAT32) {
          fovea_kernels_scalar.convert(scales, FOVEA_FLOAT32, half_scales, (fovea_element)element, sizeof scales / 4);
          fovea_kernels_scalar.convert(biases, FOVEA_FLOAT32, half_biases, (fovea_element)element, sizeof biases / 4);
          held_scales = half_scales, held_biases = half_biases;
        }
        if (kind == 6) held_scales = bytes;
        for (int side = 0; side < 2; side++) {
          static _Alignas(64) int8_t rounded[MOST_ROWS * MOST_DEPTH];
          static float row_scales[MOST_ROWS * MOST_GROUPS], row_sums[MOST_ROWS * MOST_GROUPS];
          void *scratch = aligned_alloc(64, (fovea_quantized_scratch_byte_count(depth) + 63) / 64 * 64);
          fovea_activation_codes rounding = {x,     (ptrdiff_t)depth, FOVEA_FLOAT32, row_count,  depth,
                                             group_size, bits[kind],   rounded,       row_scales, row_sums};
          tables[side]->activation_codes(&rounding);
          fovea_quantized_matrix weights = {codes, (ptrdiff_t)(depth * bits[kind] / 8), held_scales, held_biases,
                                            (ptrdiff_t)groups, (fovea_element)element,
                                            kind == 6 ? FOVEA_MXFP4 : FOVEA_AFFINE, bits[kind], group_size};
          fovea_quantized_linear work = {rounded, row_scales, row_sums, weights, biases, outputs[side],
                                         (ptrdiff_t)column_count, row_count, column_count, depth, false, scratch};
          tables[side]->quantized_linear(&work);
          free(scratch);
        }
        compare(table->name, "quantized linear", outputs[0], outputs[1], row_count * column_count, 0);
      }
}

// The sums of a group are exact; what is left are a few float32 roundings, the same for every table but the reference.
static void check_int16(const fovea_kernels *table) {
  enum { MOST_DEPTH = 384, MOST_SIZE = MOST_DEPTH / 2 + 4 + MOST_DEPTH / FOVEA_INT16_GROUP };
  static float x[ROWS * MOST_DEPTH], w[COLUMNS * MOST_DEPTH], bias[COLUMNS];
  static float rounded_x[ROWS * MOST_SIZE], rounded_w[COLUMNS * MOST_SIZE], packed[2][128 * MOST_SIZE];
  static float outputs[2][ROWS * COLUMNS];
  const fovea_kernels *tables[2] = {&fovea_kernels_scalar, table};
  for (size_t i = 0; i < sizeof x / 4; i++) x[i] = next_value();
  for (size_t i = 0; i < sizeof w / 4; i++) w[i] = next_value();
  for (size_t i = 0; i < COLUMNS; i++) bias[i] = next_value();
  for (size_t depth = 0; depth <= MOST_DEPTH; depth += depth < 24 ? 1 : 60) {
    const ptrdiff_t size = (ptrdiff_t)fovea_int16_row_size(depth), steps = (ptrdiff_t)fovea_int16_step_count(depth);
    fovea_int16_rows rows = {x, (ptrdiff_t)depth, ROWS, depth, rounded_x, size};
    fovea_int16_rows columns = {w, (ptrdiff_t)depth, COLUMNS, depth, rounded_w, size};
    table->round_int16(&rows);
    table->round_int16(&columns);
    for (int side = 0; side < 2; side++) {
      fovea_int16_pack pack = {rounded_w, size, COLUMNS, depth, 0, packed[side]};
      tables[side]->pack_int16(&pack);
      fovea_packed_linear work = {rounded_x, size,    rounded_x + steps, packed[side], bias,  outputs[side],
                                  COLUMNS,   ROWS,    COLUMNS,           depth,        false, NULL};
      tables[side]->packed_linear_int16(&work);
    }
    compare(table->name, "packed linear of int16", outputs[0], outputs[1], ROWS * COLUMNS, 2e-5);
    // Rounding: both tables within half a scale of the elements.
    static float reference[ROWS * MOST_SIZE];
    rows.rows = reference;
    fovea_kernels_scalar.round_int16(&rows);
    for (size_t row = 0; row < ROWS; row++) {
      const int16_t *got = (const int16_t *)(rounded_x + (ptrdiff_t)row * size);
      const int16_t *expected = (const int16_t *)(reference + (ptrdiff_t)row * size);
      for (ptrdiff_t i = 0; i < 2 * steps; i++)
        if (abs(got[i] - expected[i]) > 1) fail(table->name, "rounding to int16", (size_t)i, expected[i], got[i]);
    }
  }
}

int main(void) {
  for (const fovea_kernels *const *table = fovea_kernels_all(); *table; table++) {
#ifndef CHECK_EMULATED
    if (!fovea_kernels_supported(*table)) continue;
#endif
    check_linear(*table, FOVEA_FLOAT32, FOVEA_FLOAT32);
    check_linear(*table, FOVEA_FLOAT32, FOVEA_FLOAT16);
    check_linear(*table, FOVEA_FLOAT32, FOVEA_BFLOAT16);
    check_linear(*table, FOVEA_BFLOAT16, FOVEA_BFLOAT16);
    check_elementwise(*table);
    check_attention(*table);
    check_coded(*table);
    check_quantized(*table);
    check_int16(*table);
    printf("%s: agrees with the scalar reference\n", (*table)->name);
  }
  return 0;
}
