// Attention over a block of codes in plain loops: the definition that the vector kernels are compared with. Include
// into kernels_scalar.c.
#include "coded_layout.h"

static double coded_score(const fovea_coded_attention *work, size_t row, size_t key) {
  const fovea_code_format *format = &work->format;
  const size_t groups = coded_groups(format), padded = coded_dimension(format);
  const uint8_t *block = work->coded;
  const uint32_t *scales = (const uint32_t *)(block + key_scale_offset(format));
  double total = 0;
  for (size_t group = 0; group < groups; group++) {
    int32_t dot = 0;
    for (size_t i = group * format->group_size; i < coded_group_end(format, group); i++) {
      bool is_high;
      int32_t code = block[key_byte(format, key, i, &is_high)];
      if (format->bits == 4) code = is_high ? code >> 4 : code & 15;
      dot += code * work->query_codes[row * padded + i];
    }
    uint32_t pair = scales[key_scale_index(format, key, group)];
    total += (double)work->query_scales[row * groups + group] *
             ((double)coded_scale(pair) * dot + (double)coded_bias(pair) * (double)work->query_sums[row * groups + group]);
  }
  return finish_score(&work->block, row, key, total);
}

static void coded_attention(const fovea_coded_attention *work) {
  const fovea_attention_block *block = &work->block;
  const fovea_code_format *format = &work->format;
  const size_t padded = coded_dimension(format);
  const uint8_t *values = (const uint8_t *)work->coded + value_code_offset(format);
  const uint32_t *scales = (const uint32_t *)((const uint8_t *)work->coded + value_scale_offset(format));
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
        int32_t code = values[value_byte(format, key, i, &is_high)];
        if (format->bits == 4) code = is_high ? code >> 4 : code & 15;
        uint32_t pair = scales[value_scale_index(key, i / format->group_size)];
        total += scores[key] * ((double)coded_scale(pair) * code + (double)coded_bias(pair));
      }
      float *out = block->outputs + row * padded + i;
      *out = join(*out, old_factor, (float)total, new_factor);
    }
  }
}
