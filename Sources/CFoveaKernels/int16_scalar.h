// The reference of rounding to integers of 16 bits and of their products; part of kernels_scalar.c.
#include <float.h>

static void round_int16(const fovea_int16_rows *work) {
  for (size_t row = 0; row < work->row_count; row++) {
    const float *inputs = work->inputs + (ptrdiff_t)row * work->input_stride;
    int16_t *integers = (int16_t *)((float *)work->rows + (ptrdiff_t)row * work->row_stride);
    float *scales = (float *)integers + fovea_int16_step_count(work->depth);
    memset(integers, 0, fovea_int16_step_count(work->depth) * 4);
    for (size_t first = 0; first < work->depth; first += FOVEA_INT16_GROUP) {
      size_t end = first + FOVEA_INT16_GROUP < work->depth ? first + FOVEA_INT16_GROUP : work->depth;
      double squares = 0;
      for (size_t i = first; i < end; i++) squares += (double)inputs[i] * (double)inputs[i];
      double scale = squares > FLT_MAX ? NAN : sqrt(squares) / 32760;
      if (scale < 0x1p-115) scale = 0;
      for (size_t i = first; i < end && scale > 0 && isfinite(scale); i++)
        integers[i] = (int16_t)nearbyint((double)inputs[i] / scale);
      *scales++ = isfinite(scale) ? (float)scale : NAN;
    }
  }
}

// Packed columns are rounded rows here.
static void pack_int16(const fovea_int16_pack *work) {
  size_t size = fovea_int16_row_size(work->depth);
  for (size_t row = 0; row < work->count; row++)
    memcpy((float *)work->packed + (work->first + row) * size,
           (const float *)work->rows + (ptrdiff_t)row * work->row_stride, size * 4);
}

static void packed_linear_int16(const fovea_packed_linear *work) {
  size_t steps = fovea_int16_step_count(work->depth), size = fovea_int16_row_size(work->depth);
  for (size_t row = 0; row < work->row_count; row++) {
    const int16_t *x = (const int16_t *)((const float *)work->activations + (ptrdiff_t)row * work->activation_stride);
    const float *x_scales = work->activation_scales + (ptrdiff_t)row * work->activation_stride;
    for (size_t column = 0; column < work->column_count; column++) {
      const int16_t *w = (const int16_t *)((const float *)work->packed + column * size);
      const float *w_scales = (const float *)w + steps;
      float *out = work->outputs + (ptrdiff_t)row * work->output_stride + column;
      double total = work->continues ? (double)*out : 0;
      for (size_t first = 0, group = 0; first < 2 * steps; first += FOVEA_INT16_GROUP, group++) {
        int64_t sum = 0;
        for (size_t k = first; k < 2 * steps && k < first + FOVEA_INT16_GROUP; k++) sum += (int32_t)x[k] * w[k];
        total += (double)sum * (double)w_scales[group] * (double)x_scales[group];
      }
      *out = (float)(work->bias ? total + (double)work->bias[column] : total);
    }
  }
}
