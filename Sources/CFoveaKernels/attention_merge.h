// How the state of a row takes in that of later keys; include after exponential_template.h.
#include <float.h>
#include <math.h>

#include "tables.h"

// Joins the maxima and sums of a block to those of `count` rows; gives the factors for the rows' old outputs and the
// block's new ones.
static inline void merge_rows(float *maxima, float *sums, const float *block_maxima, const float *block_sums,
                              float *old_factors, float *new_factors, size_t count) {
  for (size_t row = 0; row < count; row += LANES) {
    const size_t left = count - row < LANES ? count - row : LANES;
    V maximum = v_load_first(maxima + row, left), block_maximum = v_load_first(block_maxima + row, left);
    // NaN of the block passes. Where nothing is visible yet, the two differences are -infinity and the factors 0.
    V merged = v_max(maximum, block_maximum), shift = v_max(v_set1(-FLT_MAX), merged);
    V old_factor = v_exp(v_sub(maximum, shift)), new_factor = v_exp(v_sub(block_maximum, shift));
    V sum = v_fma(v_load_first(block_sums + row, left), new_factor, v_mul(v_load_first(sums + row, left), old_factor));
    v_store_first(maxima + row, merged, left);
    v_store_first(sums + row, sum, left);
    v_store_first(old_factors + row, old_factor, left);
    v_store_first(new_factors + row, new_factor, left);
  }
}

// Joins at most LANES blocks to a row: their factors are computed side by side, then applied block by block.
static inline void merge_blocks(const fovea_attention_merge *work, size_t row, size_t first, size_t end) {
  const size_t padded = fovea_padded_value_dimension(work->value_dimension);
  float old_factors[LANES] = {0}, new_factors[LANES] = {0};
  size_t blocks[LANES], count = 0;
  float maximum = work->maxima[row];
  for (size_t block = first; block < end; block++) {
    float block_maximum = work->block_maxima[block * work->block_stride + row];
    if (block_maximum == -INFINITY) continue;
    float merged = block_maximum > maximum || block_maximum != block_maximum ? block_maximum : maximum;
    old_factors[count] = maximum - merged;
    new_factors[count] = block_maximum - merged;
    blocks[count++] = block * work->block_stride;
    maximum = merged;
  }
  work->maxima[row] = maximum;
  v_store(old_factors, v_exp(v_load(old_factors)));
  v_store(new_factors, v_exp(v_load(new_factors)));
  for (size_t i = 0; i < count; i++)
    work->sums[row] = fmaf(work->block_sums[blocks[i] + row], new_factors[i], work->sums[row] * old_factors[i]);
  for (size_t column = 0; column < padded; column += LANES) {
    float *out = work->outputs + row * padded + column;
    V total = v_load(out);
    for (size_t i = 0; i < count; i++) {
      V part = v_load(work->block_outputs + blocks[i] + row * padded + column);
      total = v_fma(part, v_set1(new_factors[i]), v_mul(total, v_set1(old_factors[i])));
    }
    v_store(out, total);
  }
}

static void attention_merge(const fovea_attention_merge *work) {
  for (size_t row = 0; row < work->row_count; row++)
    for (size_t first = 0; first < work->block_count; first += LANES)
      merge_blocks(work, row, first, work->block_count - first < LANES ? work->block_count : first + LANES);
}
