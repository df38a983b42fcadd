// One matrix-product kernel; include after a vector_*.h with these macros, which it undefines:
//   LINEAR_NAME          the function's name
//   ACTIVATION, WEIGHT   the element types in memory
//   STEP                 elements of `depth` in one vector
//   OPERAND              the vector type of an operand
//   LOAD_ACTIVATION(p), LOAD_ACTIVATION_FIRST(p, count), LOAD_WEIGHT(p), LOAD_WEIGHT_FIRST(p, count)
//   MULTIPLY_ADD(acc, activation, weight)
//
// A tile of rows x columns holds one accumulator vector per output, so that every output has the same order of
// additions in every tile shape: lanes along depth, then the tree of v_reduce. Where the rows of a tile would not fit the
// first-level cache together, the depth is walked in parts and the accumulators wait in between.

// How far ahead of a single row's weights memory is asked for; 1024 and 2048 were slower, and hints past the end do no
// harm.
#define PREFETCH_BYTES 4096
// The most bytes of a row in one part of the depth: a tile's 8 rows then take 24 of the 32 or 48 KiB of an L1 cache.
#define PART_BYTES 3072
// Rows whose accumulators wait between the parts.
#define PART_ROWS 64
// The most bytes and columns of weights that a row of tiles walks by.
#define GROUP_BYTES 20480
#define GROUP_COLUMNS 16
#define TILE_NAME_(name) name##_tile
#define TILE_NAME(name) TILE_NAME_(name)

// The part [begin, end) of the depth; `waiting` holds the accumulators where it is not all of it.
static inline __attribute__((always_inline)) void TILE_NAME(LINEAR_NAME)(const fovea_linear *work, size_t row,
                                                                         size_t column, const int rows,
                                                                         const int columns, size_t begin, size_t end,
                                                                         V *waiting) {
  V sums[LINEAR_ACCUMULATORS];
  const ACTIVATION *x[LINEAR_ROWS];
  const WEIGHT *w = (const WEIGHT *)work->weights + (ptrdiff_t)column * work->weight_stride;
  const ptrdiff_t weight_stride = work->weight_stride;
#pragma clang loop unroll(full)
  for (int i = 0; i < LINEAR_ACCUMULATORS; i++) sums[i] = v_zero();
  if (begin > 0) {
#pragma clang loop unroll(full)
    for (int i = 0; i < rows * columns; i++) sums[i] = waiting[i];
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
    x[r] = (const ACTIVATION *)work->activations + (ptrdiff_t)(row + (size_t)r) * work->activation_stride;

  // For one row the weights come out of memory: column after column they are one stream, which the prefetchers follow.
  const int step_columns = rows == 1 ? 1 : columns;
#pragma clang loop unroll(full)
  for (int first = 0; first < columns; first += step_columns) {
    size_t k = begin;
    for (; k + STEP <= end; k += STEP) {
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
    if (k == end) continue;
#pragma clang loop unroll(full)
    for (int c = first; c < first + step_columns; c++) {
      OPERAND weight = LOAD_WEIGHT_FIRST(w + c * weight_stride + (ptrdiff_t)k, end - k);
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++)
        sums[r * columns + c] = MULTIPLY_ADD(sums[r * columns + c], LOAD_ACTIVATION_FIRST(x[r] + k, end - k), weight);
    }
  }
  if (end < work->depth) {
#pragma clang loop unroll(full)
    for (int i = 0; i < rows * columns; i++) waiting[i] = sums[i];
    return;
  }

  float totals[LINEAR_ACCUMULATORS];
#pragma clang loop unroll(full)
  for (int i = 0; i < LINEAR_ACCUMULATORS; i += LANES)
    if (i < rows * columns) v_store(totals + i, v_reduce(sums + i));
  if (columns == 1) {
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      float *out = work->outputs + (ptrdiff_t)(row + (size_t)r) * work->output_stride + column;
      if (work->bias) totals[r] += work->bias[column];
      *out = work->accumulates ? *out + totals[r] : totals[r];
    }
    return;
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < rows * columns; i += 4) {
    const size_t first = column + (size_t)(i % columns);
    float *out = work->outputs + (ptrdiff_t)(row + (size_t)(i / columns)) * work->output_stride + first;
    linear_four total, term;
    memcpy(&total, totals + i, sizeof total);
    if (work->bias) memcpy(&term, work->bias + first, sizeof term), total += term;
    if (work->accumulates) memcpy(&term, out, sizeof term), total = term + total;
    memcpy(out, &total, sizeof total);
  }
}

static void LINEAR_NAME(const fovea_linear *work) {
  // Activation rows walked for each group of columns: half of a 1 MiB L2, so that they stay there while weights stream by.
  const size_t depth = work->depth, row_bytes = depth * sizeof(ACTIVATION);
  size_t row_block = row_bytes == 0 ? work->row_count : (512u << 10) / row_bytes;
  if (row_block < 4 * LINEAR_ROWS) row_block = 4 * LINEAR_ROWS;
  const size_t part_count = work->row_count == 1 ? 1 : (row_bytes + PART_BYTES - 1) / PART_BYTES;
  size_t part = depth;
  if (part_count > 1) {
    part = ((depth + part_count - 1) / part_count + STEP - 1) / STEP * STEP;
    if (row_block > PART_ROWS) row_block = PART_ROWS;
  }
  // The columns whose weights stay in L1 while rows of activations come out of L2 once for all of them.
  size_t group = part == 0 ? LINEAR_COLUMNS : GROUP_BYTES / (part * sizeof(WEIGHT)) / LINEAR_COLUMNS * LINEAR_COLUMNS;
  if (group < LINEAR_COLUMNS) group = LINEAR_COLUMNS;
  if (group > GROUP_COLUMNS) group = GROUP_COLUMNS;
  V waiting[PART_ROWS * GROUP_COLUMNS];
  for (size_t first = 0; first < work->row_count; first += row_block) {
    size_t last = work->row_count - first < row_block ? work->row_count : first + row_block;
    size_t column = 0;
    if (last - first == 1) {
      for (; column + LINEAR_ROW1_COLUMNS <= work->column_count; column += LINEAR_ROW1_COLUMNS)
        TILE_NAME(LINEAR_NAME)(work, first, column, 1, LINEAR_ROW1_COLUMNS, 0, depth, waiting);
    }
    while (column + LINEAR_COLUMNS <= work->column_count) {
      size_t end_column = column + group;
      if (end_column > work->column_count)
        end_column = column + (work->column_count - column) / LINEAR_COLUMNS * LINEAR_COLUMNS;
      size_t begin = 0;
      do {
        const size_t end = depth - begin < part ? depth : begin + part;
        size_t row = first;
        V *sums = waiting;
#define TILES(rows_constant)                                                                      \
  for (; row + rows_constant <= last; row += rows_constant)                                       \
    for (size_t c = column; c < end_column; c += LINEAR_COLUMNS, sums += rows_constant * LINEAR_COLUMNS) \
      TILE_NAME(LINEAR_NAME)(work, row, c, rows_constant, LINEAR_COLUMNS, begin, end, sums);
        TILES(LINEAR_ROWS)
        TILES(2)
        TILES(1)
#undef TILES
        begin = end;
      } while (begin < depth);
      column = end_column;
    }
    for (; column < work->column_count; column++)
      for (size_t row = first; row < last; row++) TILE_NAME(LINEAR_NAME)(work, row, column, 1, 1, 0, depth, waiting);
  }
}

#undef TILE_NAME
#undef TILE_NAME_
#undef PREFETCH_BYTES
#undef PART_BYTES
#undef PART_ROWS
#undef GROUP_BYTES
#undef GROUP_COLUMNS
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
