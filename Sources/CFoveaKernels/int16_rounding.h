// Rounding to integers of 16 bits and their packed layout; include after a vector_*.h and before packed_linear_template.h,
// with PANEL_VECTORS.
#include <math.h>
#include <string.h>

// The length of a group's integers: none of them exceeds 32,767 then, however the square root is rounded.
#define INT16_LENGTH 32760.0f

// Rounds one group of at most FOVEA_INT16_GROUP elements; returns its scale.
static inline float round_int16_group(const float *inputs, size_t count, int16_t *integers) {
  const float length = sqrtf(squared_distances(inputs, count, 0));
  // The length of tiny elements is 0: so are their integers.
  if (!(length >= 0x1p-100f) || length == INFINITY) {
    memset(integers, 0, count * sizeof(int16_t));
    return length < 1 ? 0 : NAN;
  }
  const V inverse = v_set1(INT16_LENGTH / length);
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) i_store_int16(integers + i, i_round(v_mul(v_load(inputs + i), inverse)));
  if (i < count) {
    int16_t few[LANES];
    i_store_int16(few, i_round(v_mul(v_load_first(inputs + i, count - i), inverse)));
    memcpy(integers + i, few, (count - i) * sizeof(int16_t));
  }
  return length / INT16_LENGTH;
}

static void round_int16(const fovea_int16_rows *work) {
  const size_t steps = fovea_int16_step_count(work->depth);
  for (size_t row = 0; row < work->row_count; row++) {
    const float *inputs = work->inputs + (ptrdiff_t)row * work->input_stride;
    int16_t *integers = (int16_t *)((float *)work->rows + (ptrdiff_t)row * work->row_stride);
    float *scales = (float *)integers + steps;
    for (size_t first = 0; first < work->depth; first += FOVEA_INT16_GROUP) {
      const size_t left = work->depth - first;
      *scales++ = round_int16_group(inputs + first, left < FOVEA_INT16_GROUP ? left : FOVEA_INT16_GROUP, integers + first);
    }
    memset(integers + work->depth, 0, (2 * steps - work->depth) * sizeof(int16_t));
  }
}

// Panel after panel the pairs of a step, of all its columns, and behind them the scales of a group, of all columns.
static void pack_int16(const fovea_int16_pack *work) {
  const size_t size = fovea_int16_row_size(work->depth);
  for (size_t row = 0; row < work->count; row++) {
    const uint32_t *source = (const uint32_t *)work->rows + (ptrdiff_t)row * work->row_stride;
    const size_t column = work->first + row, lane = column % (PANEL_VECTORS * LANES);
    uint32_t *target = (uint32_t *)work->packed + (column - lane) * size + lane;
    for (size_t i = 0; i < size; i++) target[i * PANEL_VECTORS * LANES] = source[i];
  }
}
#undef INT16_LENGTH
