// The attention kernels of one tile layout; include after a vector_*.h and elementwise_template.h with these macros,
// which it undefines:
//   NAME(x)                     x with the layout's suffix
//   PER_LANE                    elements in a 32-bit lane: 1 (float32) or 2 (bfloat16 pairs)
//   MULTIPLY_ADD(acc, a, b)     acc + a * b, summed over the elements of each lane
// and PANEL_VECTORS (vectors in a panel, at most 4), which stays. Register tiles are MICRO_ROWS x PANEL_VECTORS:
// 6 x 4 + 5 of 32 registers, 6 x 2 + 3 of 16, enough independent chains to hide the latency of two multiply-add ports.
#include <string.h>

#define MICRO_ROWS 6
#define PANEL (PANEL_VECTORS * LANES)
// Rows that share one pass over keys and values where they lie.
#define DIRECT_STEP 4

#include "attention_pack_template.h"

// sums[r][v] += a[r] * b[v], of one step.
static inline __attribute__((always_inline)) void NAME(micro_step)(const float *a, size_t a_stride, const float *b,
                                                                   V sums[MICRO_ROWS * PANEL_VECTORS], const int rows,
                                                                   const int vectors) {
  V column[PANEL_VECTORS];
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) column[v] = v_load(b + (size_t)v * LANES);
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++) {
    V element = v_set1(a[(size_t)r * a_stride]);
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++)
      sums[r * vectors + v] = MULTIPLY_ADD(sums[r * vectors + v], element, column[v]);
  }
}

// sums[r][v] = sum over steps of a[r][step] * b[step][v].
static inline __attribute__((always_inline)) void NAME(micro)(const float *a, size_t a_stride, const float *b,
                                                              size_t steps, V sums[MICRO_ROWS * PANEL_VECTORS],
                                                              const int rows, const int vectors) {
#pragma clang loop unroll(full)
  for (int i = 0; i < rows * vectors; i++) sums[i] = v_zero();
  size_t step = 0;
#if LANES != 4
  // One look at the end for four steps.
#pragma clang loop unroll(disable)
  for (; step + 4 <= steps; step += 4)
#pragma clang loop unroll(full)
    for (size_t i = step; i < step + 4; i++) NAME(micro_step)(a + i, a_stride, b + i * PANEL, sums, rows, vectors);
#endif
  for (; step < steps; step++) NAME(micro_step)(a + step, a_stride, b + step * PANEL, sums, rows, vectors);
}

static inline __attribute__((always_inline)) void NAME(score_tile)(const float *q, size_t depth_steps, const float *k,
                                                                   float *scores, const int rows, const int vectors) {
  V sums[MICRO_ROWS * PANEL_VECTORS];
  NAME(micro)(q, depth_steps, k, depth_steps, sums, rows, vectors);
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) v_store(scores + r * FOVEA_KEY_BLOCK + v * LANES, sums[r * vectors + v]);
}

// outputs = outputs * old_factor + (weights . values) * new_factor, per row.
static inline __attribute__((always_inline)) void NAME(value_tile)(const float *weights, const float *values,
                                                                   size_t steps, float *outputs, size_t output_stride,
                                                                   const float *old_factors, const float *new_factors,
                                                                   const int rows, const int vectors) {
  V sums[MICRO_ROWS * PANEL_VECTORS];
  NAME(micro)(weights, FOVEA_KEY_BLOCK / PER_LANE, values, steps, sums, rows, vectors);
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++) {
    V old_factor = v_set1(old_factors[r]), new_factor = v_set1(new_factors[r]);
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      float *out = outputs + (size_t)r * output_stride + (size_t)v * LANES;
      v_store(out, v_fma(sums[r * vectors + v], new_factor, v_mul(v_load(out), old_factor)));
    }
  }
}

// Calls a tile function with its row and vector counts as constants.
#define CALL_VECTORS(tile, rows_constant, vectors, ...) \
  switch (vectors) {                                    \
    case 1: tile(__VA_ARGS__, rows_constant, 1); break; \
    case 2: tile(__VA_ARGS__, rows_constant, 2); break; \
    CALL_WIDE(tile, rows_constant, __VA_ARGS__)         \
  }
#if PANEL_VECTORS == 4
#define CALL_WIDE(tile, rows_constant, ...)             \
  case 3: tile(__VA_ARGS__, rows_constant, 3); break;   \
  default: tile(__VA_ARGS__, rows_constant, 4); break;
#else
#define CALL_WIDE(tile, rows_constant, ...)
#endif
#define CALL_TILE(tile, rows, vectors, ...)                     \
  switch (rows) {                                               \
    case 1: CALL_VECTORS(tile, 1, vectors, __VA_ARGS__) break;  \
    case 2: CALL_VECTORS(tile, 2, vectors, __VA_ARGS__) break;  \
    case 3: CALL_VECTORS(tile, 3, vectors, __VA_ARGS__) break;  \
    case 4: CALL_VECTORS(tile, 4, vectors, __VA_ARGS__) break;  \
    case 5: CALL_VECTORS(tile, 5, vectors, __VA_ARGS__) break;  \
    default: CALL_VECTORS(tile, 6, vectors, __VA_ARGS__) break; \
  }

static inline __attribute__((always_inline)) size_t NAME(vectors_left)(size_t end, size_t start) {
  size_t left = (end - start + LANES - 1) / LANES;
  return left < PANEL_VECTORS ? left : PANEL_VECTORS;
}

#include "attention_softmax_template.h"

// Copies the packed values without the keys that weigh 0 in a row, so that their infinities and NaN stay out of it.
static void NAME(cut_hidden_values)(const fovea_attention_block *work, const void *weights, void *copy) {
  size_t padded = fovea_padded_value_dimension(work->value_dimension);
  memcpy(copy, work->values, FOVEA_KEY_BLOCK / PER_LANE * ((padded + PANEL - 1) / PANEL * PANEL) * sizeof(float));
  for (size_t key = 0; key < work->key_count; key++) {
#if PER_LANE == 1
    if (((const float *)weights)[key] != 0) continue;
#else
    if (((const uint16_t *)weights)[key] << 1 != 0) continue;
#endif
    for (size_t column = 0; column < padded; column++) {
      float *lane = NAME(value_panel)(copy, column) + key / PER_LANE * PANEL;
      memset((char *)lane + key % PER_LANE * 2, 0, 4 / PER_LANE);
    }
  }
}

static void NAME(value_rows)(const fovea_attention_block *work, const void *values, size_t first_row, size_t row_count,
                             const float *weights, int32_t low, int32_t high, const float *old_factors,
                             const float *new_factors) {
  size_t padded = fovea_padded_value_dimension(work->value_dimension);
  size_t first_step = (size_t)low / PER_LANE, steps = ((size_t)high + PER_LANE - 1) / PER_LANE - first_step;
  const size_t weight_stride = FOVEA_KEY_BLOCK / PER_LANE;
  for (size_t column = 0; column < padded; column += PANEL) {
    const float *panel = NAME(value_panel)(values, column) + first_step * PANEL;
    for (size_t row = 0; row < row_count; row += MICRO_ROWS) {
      const float *w = weights + row * weight_stride + first_step;
      float *out = work->outputs + (first_row + row) * padded + column;
      CALL_TILE(NAME(value_tile), row_count - row, NAME(vectors_left)(padded, column), w, panel, steps, out, padded,
                old_factors + row, new_factors + row)
    }
  }
}

static void NAME(attention)(const fovea_attention_block *work) {
  size_t depth_steps = (work->dimension + PER_LANE - 1) / PER_LANE;
  float *scores = work->scratch;
  float *weights = PER_LANE == 1 ? scores : scores + FOVEA_ROW_STEP * FOVEA_KEY_BLOCK;
  void *cut_values = scores + 2 * FOVEA_ROW_STEP * FOVEA_KEY_BLOCK;
  const size_t weight_stride = FOVEA_KEY_BLOCK / PER_LANE;

  for (size_t first = 0; first < work->row_count; first += FOVEA_ROW_STEP) {
    size_t rows = work->row_count - first < FOVEA_ROW_STEP ? work->row_count - first : FOVEA_ROW_STEP;
    int32_t low = FOVEA_KEY_BLOCK, high = 0;
    for (size_t row = first; row < first + rows; row++) {
      if (work->visible_begin[row] >= work->visible_end[row]) continue;
      if (work->visible_begin[row] < low) low = work->visible_begin[row];
      if (work->visible_end[row] > high) high = work->visible_end[row];
    }
    if (low >= high) continue;
    low = low / LANES * LANES;
    int32_t whole_high = (high + LANES - 1) / LANES * LANES;

    for (size_t key = (size_t)low / PANEL * PANEL; key < (size_t)high; key += PANEL) {
      const float *panel = (const float *)work->keys + key * depth_steps;
      for (size_t row = 0; row < rows; row += MICRO_ROWS) {
        const float *q = (const float *)work->queries + (first + row) * depth_steps;
        CALL_TILE(NAME(score_tile), rows - row, NAME(vectors_left)((size_t)high, key), q, depth_steps, panel,
                  scores + row * FOVEA_KEY_BLOCK + key)
      }
    }

    float block_maxima[FOVEA_ROW_STEP + LANES], block_sums[FOVEA_ROW_STEP + LANES];
    float old_factors[FOVEA_ROW_STEP], new_factors[FOVEA_ROW_STEP];
    NAME(softmax_rows)(work, first, rows, scores, weights, low, whole_high, block_maxima, block_sums);
    merge_rows(work->maxima + first, work->sums + first, block_maxima, block_sums, old_factors, new_factors, rows);

    if (!work->values_not_finite) {
      NAME(value_rows)(work, work->values, first, rows, weights, low, high, old_factors, new_factors);
      continue;
    }
    for (size_t row = 0; row < rows; row++) {
      NAME(cut_hidden_values)(work, weights + row * weight_stride, cut_values);
      NAME(value_rows)(work, cut_values, first + row, 1, weights + row * weight_stride, low, high, old_factors + row,
                       new_factors + row);
    }
  }
}

#include "attention_rows_template.h"

#undef NAME
#undef PER_LANE
#undef MULTIPLY_ADD
#undef MICRO_ROWS
#undef DIRECT_STEP
#undef PREFETCH_ROWS
#undef PANEL
#undef CALL_TILE
#undef CALL_VECTORS
#undef CALL_WIDE
