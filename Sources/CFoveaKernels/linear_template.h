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
//
// With `panels`, weights are copied as operands first, a tile's columns side by side, step after step: many rows then
// read one aligned stream, where the rows of the matrix would begin anywhere in a cache line and, at depths near a power
// of two, fight for the same sets of the cache. Where the rows of a tile would not fit the first-level cache together,
// the depth is walked in parts and the accumulators wait in between.

// How far ahead of a single row's weights memory is asked for; 1024 and 2048 were slower. The columns of a tile are as
// many streams, which the prefetchers do not follow: for several rows, and for a copy, the same place in the next tile's
// columns is asked for instead. Hints past the end do no harm.
#define PREFETCH_BYTES 4096
// The most bytes of a row in one part of the depth, and of the weights that a row of tiles walks by: with 4 rows of
// activations they take 30 of the 32 or 48 KiB of an L1 cache.
#define PART_BYTES 2560
#define GROUP_BYTES 20480
#define GROUP_COLUMNS 16
// Rows whose accumulators wait between the parts.
#define PART_ROWS 64
#define JOIN_NAME_(name, suffix) name##suffix
#define JOIN_NAME(name, suffix) JOIN_NAME_(name, suffix)
#define TILE JOIN_NAME(LINEAR_NAME, _tile)
#define COPY_PANELS JOIN_NAME(LINEAR_NAME, _copy_panels)
#define FROM_PANELS JOIN_NAME(LINEAR_NAME, _from_panels)

// The part [begin, end) of the depth; `waiting` holds the accumulators where it is not all of it. With `packed` the
// weights are read from the tile's `panel`.
static inline __attribute__((always_inline)) void TILE(const fovea_linear *work, size_t row, size_t column,
                                                       const int rows, const int columns, size_t begin, size_t end,
                                                       V *waiting, const bool packed, const OPERAND *panel) {
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
  const int step_columns = rows == 1 && !packed ? 1 : columns;
#pragma clang loop unroll(full)
  for (int first = 0; first < columns; first += step_columns) {
    const OPERAND *operands = packed ? panel + begin / STEP * (size_t)columns : NULL;
    size_t k = begin;
    for (; k + STEP <= end; k += STEP) {
      OPERAND activation[LINEAR_ROWS];
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) activation[r] = LOAD_ACTIVATION(x[r] + k);
#pragma clang loop unroll(full)
      for (int c = first; c < first + step_columns; c++) {
        const WEIGHT *p = w + c * weight_stride + (ptrdiff_t)k;
        OPERAND weight = packed ? operands[c] : LOAD_WEIGHT(p);
        if (!packed)
          __builtin_prefetch(rows == 1 ? (const char *)p + PREFETCH_BYTES : (const char *)(p + columns * weight_stride));
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++)
          sums[r * columns + c] = MULTIPLY_ADD(sums[r * columns + c], activation[r], weight);
      }
      if (packed) operands += columns;
    }
    if (k == end) continue;
#pragma clang loop unroll(full)
    for (int c = first; c < first + step_columns; c++) {
      OPERAND weight = packed ? operands[c] : LOAD_WEIGHT_FIRST(w + c * weight_stride + (ptrdiff_t)k, end - k);
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

// Copies `columns` rows of the weights, whole tiles.
static inline void COPY_PANELS(const fovea_linear *work, size_t column, size_t columns, OPERAND *panels) {
  const WEIGHT *rows = (const WEIGHT *)work->weights + (ptrdiff_t)column * work->weight_stride;
  for (size_t tile = 0; tile < columns; tile += LINEAR_COLUMNS, rows += LINEAR_COLUMNS * work->weight_stride) {
    size_t k = 0;
    for (; k + STEP <= work->depth; k += STEP, panels += LINEAR_COLUMNS)
#pragma clang loop unroll(full)
      for (int c = 0; c < LINEAR_COLUMNS; c++) {
        const WEIGHT *p = rows + c * work->weight_stride + (ptrdiff_t)k;
        __builtin_prefetch(p + LINEAR_COLUMNS * work->weight_stride);
        panels[c] = LOAD_WEIGHT(p);
      }
    if (k == work->depth) continue;
    for (int c = 0; c < LINEAR_COLUMNS; c++)
      panels[c] = LOAD_WEIGHT_FIRST(rows + c * work->weight_stride + (ptrdiff_t)k, work->depth - k);
    panels += LINEAR_COLUMNS;
  }
}

// The first `column_count` columns, whole tiles, for all rows.
static void FROM_PANELS(const fovea_linear *work, size_t column_count) {
  const size_t depth = work->depth, row_bytes = depth * sizeof(ACTIVATION);
  const size_t steps = (depth + STEP - 1) / STEP;
  // Activation rows walked for each group of columns: half of a 1 MiB L2, so that they stay there meanwhile.
  size_t row_block = row_bytes == 0 ? work->row_count : (512u << 10) / row_bytes / LINEAR_ROWS * LINEAR_ROWS;
  if (row_block < 4 * LINEAR_ROWS) row_block = 4 * LINEAR_ROWS;
  const size_t part_count = (row_bytes + PART_BYTES - 1) / PART_BYTES;
  size_t part = depth;
  if (part_count > 1) {
    part = (steps + part_count - 1) / part_count * STEP;
    if (row_block > PART_ROWS) row_block = PART_ROWS;
  }
  const size_t column_bytes = (part + STEP - 1) / STEP * sizeof(OPERAND);
  size_t group = part == 0 ? GROUP_COLUMNS : GROUP_BYTES / column_bytes / LINEAR_COLUMNS * LINEAR_COLUMNS;
  if (group < LINEAR_COLUMNS) group = LINEAR_COLUMNS;
  if (group > GROUP_COLUMNS) group = GROUP_COLUMNS;
  V waiting[PART_ROWS * GROUP_COLUMNS];
  for (size_t first = 0; first < work->row_count; first += row_block) {
    const size_t last = work->row_count - first < row_block ? work->row_count : first + row_block;
    for (size_t column = 0; column < column_count; column += group) {
      const size_t end_column = column_count - column < group ? column_count : column + group;
      OPERAND *panels = (OPERAND *)work->panels + column * steps;
      // The weights of the next group come from memory while those of this one are at work.
      const bool copies = first == 0 && !work->panels_hold_weights;
      const char *ahead = (const char *)((const WEIGHT *)work->weights + (ptrdiff_t)end_column * work->weight_stride);
      size_t lines = copies && end_column < column_count ? group * depth * sizeof(WEIGHT) / 64 : 0;
      const size_t tile_count = (last - first) / LINEAR_ROWS * (group / LINEAR_COLUMNS) * part_count;
      const size_t tile_lines = tile_count ? (lines + tile_count - 1) / tile_count : lines;
      if (copies) COPY_PANELS(work, column, end_column - column, panels);
      size_t begin = 0;
      do {
        const size_t end = depth - begin < part ? depth : begin + part;
        size_t row = first;
        V *sums = waiting;
#define TILES(rows_constant)                                                                               \
  for (; row + rows_constant <= last; row += rows_constant)                                                \
    for (size_t c = column; c < end_column; c += LINEAR_COLUMNS, sums += rows_constant * LINEAR_COLUMNS) { \
      for (size_t i = 0; i < tile_lines && lines > 0; i++, lines--, ahead += 64)                           \
        __builtin_prefetch(ahead, 0, 2);                                                                   \
      TILE(work, row, c, rows_constant, LINEAR_COLUMNS, begin, end, sums, true,                            \
           panels + (c - column) * steps);                                                                 \
    }
        TILES(LINEAR_ROWS)
        TILES(2)
        TILES(1)
#undef TILES
        begin = end;
      } while (begin < depth);
    }
  }
}

static void LINEAR_NAME(const fovea_linear *work) {
  const size_t depth = work->depth, row_count = work->row_count;
  size_t column = 0;
  if (work->panels) {
    column = work->column_count / LINEAR_COLUMNS * LINEAR_COLUMNS;
    FROM_PANELS(work, column);
  } else if (row_count == 1) {
    for (; column + LINEAR_ROW1_COLUMNS <= work->column_count; column += LINEAR_ROW1_COLUMNS)
      TILE(work, 0, column, 1, LINEAR_ROW1_COLUMNS, 0, depth, NULL, false, NULL);
  }
  for (; column + LINEAR_COLUMNS <= work->column_count; column += LINEAR_COLUMNS) {
    size_t row = 0;
#define TILES(rows_constant)                                  \
  for (; row + rows_constant <= row_count; row += rows_constant) \
    TILE(work, row, column, rows_constant, LINEAR_COLUMNS, 0, depth, NULL, false, NULL);
    TILES(LINEAR_ROWS)
    TILES(2)
    TILES(1)
#undef TILES
  }
  for (; column < work->column_count; column++)
    for (size_t row = 0; row < row_count; row++) TILE(work, row, column, 1, 1, 0, depth, NULL, false, NULL);
}

#undef TILE
#undef COPY_PANELS
#undef FROM_PANELS
#undef JOIN_NAME
#undef JOIN_NAME_
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
