// Attention over a block of codes in plain loops: the definition that the vector kernels are compared with. Include
// into kernels_scalar.c.
#include "coded_layout.h"

static double coded_score(const fovea_coded_attention *work, size_t row, size_t key) {
  const fovea_code_format *format = &work->format;
  const uint8_t *codes = (const uint8_t *)work->coded + key_code_offset(format);
  const uint32_t *pairs = work->coded;
  const float *query = work->queries + row * coded_dimension(format);
  double total = 0;
  for (size_t i = 0; i < format->dimension; i++) {
    bool is_high;
    uint8_t byte = codes[key_byte(format, key, i, &is_high)];
    total += (double)query[i] * (double)coded_number(format, byte, is_high, pairs[key_scale_index(format, key, i)]);
  }
  return finish_score(&work->block, row, key, total);
}

static void coded_attention(const fovea_coded_attention *work) {
  const fovea_attention_block *block = &work->block;
  const fovea_code_format *format = &work->format;
  const uint8_t *codes = (const uint8_t *)work->coded + value_code_offset(format);
  const uint32_t *pairs = (const uint32_t *)((const uint8_t *)work->coded + value_scale_offset(format));
  double *scores = block->scratch;
  for (size_t row = 0; row < block->row_count; row++) {
    size_t begin = (size_t)block->visible_begin[row], end = (size_t)block->visible_end[row];
    for (size_t key = begin; key < end; key++) scores[key] = coded_score(work, row, key);
    double old_factor, new_factor;
    if (!weigh_keys(block, row, scores, begin, end, &old_factor, &new_factor)) continue;
    for (size_t i = 0; i < format->dimension; i++) {
      double total = 0;
      for (size_t key = begin; key < end; key++) {
        if (scores[key] == 0) continue;
        bool is_high;
        uint8_t byte = codes[value_byte(format, key, i, &is_high)];
        total += scores[key] * (double)coded_number(format, byte, is_high, pairs[value_scale_index(format, key, i)]);
      }
      float *out = block->outputs + row * coded_dimension(format) + i;
      *out = join(*out, old_factor, (float)total, new_factor);
    }
  }
}
