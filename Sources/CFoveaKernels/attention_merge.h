// How the state of a row takes in that of later keys; include after exponential_template.h.
#include <math.h>

#include "tables.h"

// Joins a block's maximum and sum to the row's; gives the factors for the row's old outputs and the block's new ones.
static inline void merge_row(float *maximum, float *sum, float block_maximum, float block_sum, float *old_factor,
                                   float *new_factor) {
  *old_factor = 1;
  *new_factor = 0;
  if (block_maximum == -INFINITY) return;
  float merged = block_maximum > *maximum || block_maximum != block_maximum ? block_maximum : *maximum;
  float differences[LANES] = {*maximum - merged, block_maximum - merged}, factors[LANES];
  v_store(factors, v_exp(v_load(differences)));
  *old_factor = factors[0];
  *new_factor = factors[1];
  *sum = fmaf(block_sum, *new_factor, *sum * *old_factor);
  *maximum = merged;
}

static void attention_merge(const fovea_attention_merge *work) {
  size_t padded = fovea_padded_value_dimension(work->value_dimension);
  for (size_t row = 0; row < work->row_count; row++) {
    float old_factor, new_factor;
    merge_row(work->maxima + row, work->sums + row, work->block_maxima[row], work->block_sums[row], &old_factor,
              &new_factor);
    float *out = work->outputs + row * padded;
    for (size_t i = 0; i < padded; i += LANES) {
      V block = v_load(work->block_outputs + row * padded + i);
      v_store(out + i, v_fma(block, v_set1(new_factor), v_mul(v_load(out + i), v_set1(old_factor))));
    }
  }
}
