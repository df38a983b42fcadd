// One matrix-product kernel; include after a vector_*.h with these macros, which it undefines:
//   LINEAR_NAME          the function's name
//   ACTIVATION, WEIGHT   the element types in memory
//   STEP                 elements of `depth` in one vector
//   OPERAND              the vector type of an operand
//   LOAD_ACTIVATION(p), LOAD_ACTIVATION_FIRST(p, count), LOAD_WEIGHT(p), LOAD_WEIGHT_FIRST(p, count)
//   MULTIPLY_ADD(acc, activation, weight)
//
// A tile of rows x columns holds one accumulator vector per output, so that every output has the same order of
// additions in every tile shape: lanes along depth, then the tree of v_reduce.

// How far ahead of a single row's weights memory is asked for; 1024 and 2048 were slower, and hints past the end do no
// harm.
#define PREFETCH_BYTES 4096
#define TILE_NAME_(name) name##_tile
#define TILE_NAME(name) TILE_NAME_(name)

static inline __attribute__((always_inline)) void TILE_NAME(LINEAR_NAME)(const fovea_linear *work, size_t row,
                                                                         size_t column, const int rows,
                                                                         const int columns) {
  V sums[LINEAR_ACCUMULATORS];
  const ACTIVATION *x[LINEAR_ROWS];
  const WEIGHT *w = (const WEIGHT *)work->weights + (ptrdiff_t)column * work->weight_stride;
  const ptrdiff_t weight_stride = work->weight_stride;
#pragma clang loop unroll(full)
  for (int i = 0; i < LINEAR_ACCUMULATORS; i++) sums[i] = v_zero();
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
    x[r] = (const ACTIVATION *)work->activations + (ptrdiff_t)(row + (size_t)r) * work->activation_stride;

  // For one row the weights come out of memory: column after column they are one stream, which the prefetchers follow.
  const int step_columns = rows == 1 ? 1 : columns;
  const size_t depth = work->depth;
#pragma clang loop unroll(full)
  for (int first = 0; first < columns; first += step_columns) {
    size_t k = 0;
    for (; k + STEP <= depth; k += STEP) {
      OPERAND activation[LINEAR_ROWS];
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) activation[r] = LOAD_ACTIVATION(x[r] + k);
#pragma clang loop unroll(full)
      for (int c = first; c < first + step_columns; c++) {
        const WEIGHT *p = w + c * weight_stride + (ptrdiff_t)k;
        OPERAND weight = LOAD_WEIGHT(p);
        if (rows == 1) __builtin_prefetch((const char *)p + PREFETCH_BYTES);
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++)
          sums[r * columns + c] = MULTIPLY_ADD(sums[r * columns + c], activation[r], weight);
      }
    }
    if (k == depth) continue;
#pragma clang loop unroll(full)
    for (int c = first; c < first + step_columns; c++) {
      OPERAND weight = LOAD_WEIGHT_FIRST(w + c * weight_stride + (ptrdiff_t)k, depth - k);
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++)
        sums[r * columns + c] =
            MULTIPLY_ADD(sums[r * columns + c], LOAD_ACTIVATION_FIRST(x[r] + k, depth - k), weight);
    }
  }

  float totals[LINEAR_ACCUMULATORS];
#pragma clang loop unroll(full)
  for (int i = 0; i < LINEAR_ACCUMULATORS; i += LANES)
    if (i < rows * columns) v_store(totals + i, v_reduce(sums + i));
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++) {
    float *out = work->outputs + (ptrdiff_t)(row + (size_t)r) * work->output_stride + column;
    for (int c = 0; c < columns; c++) {
      float total = totals[r * columns + c];
      if (work->bias) total += work->bias[column + (size_t)c];
      out[c] = work->accumulates ? out[c] + total : total;
    }
  }
}

static void LINEAR_NAME(const fovea_linear *work) {
  // Activation rows walked for each weight row: half of a 1 MiB L2, so that they stay there while weights stream by.
  size_t row_bytes = work->depth * sizeof(ACTIVATION);
  size_t row_block = row_bytes == 0 ? work->row_count : (512u << 10) / row_bytes;
  if (row_block < 4 * LINEAR_ROWS) row_block = 4 * LINEAR_ROWS;
  for (size_t first = 0; first < work->row_count; first += row_block) {
    size_t last = work->row_count - first < row_block ? work->row_count : first + row_block;
    size_t column = 0;
    if (last - first == 1) {
      for (; column + LINEAR_ROW1_COLUMNS <= work->column_count; column += LINEAR_ROW1_COLUMNS)
        TILE_NAME(LINEAR_NAME)(work, first, column, 1, LINEAR_ROW1_COLUMNS);
    }
    for (; column + LINEAR_COLUMNS <= work->column_count; column += LINEAR_COLUMNS) {
      size_t row = first;
      for (; row + LINEAR_ROWS <= last; row += LINEAR_ROWS)
        TILE_NAME(LINEAR_NAME)(work, row, column, LINEAR_ROWS, LINEAR_COLUMNS);
      for (; row + 2 <= last; row += 2) TILE_NAME(LINEAR_NAME)(work, row, column, 2, LINEAR_COLUMNS);
      for (; row < last; row++) TILE_NAME(LINEAR_NAME)(work, row, column, 1, LINEAR_COLUMNS);
    }
    for (; column < work->column_count; column++)
      for (size_t row = first; row < last; row++) TILE_NAME(LINEAR_NAME)(work, row, column, 1, 1);
  }
}

#undef TILE_NAME
#undef TILE_NAME_
#undef PREFETCH_BYTES
#undef LINEAR_NAME
#undef ACTIVATION
#undef WEIGHT
#undef STEP
#undef OPERAND
#undef LOAD_ACTIVATION
#undef LOAD_ACTIVATION_FIRST
#undef LOAD_WEIGHT
#undef LOAD_WEIGHT_FIRST
#undef MULTIPLY_ADD
