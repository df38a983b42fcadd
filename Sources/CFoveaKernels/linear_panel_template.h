// Packed rows against panels of weights, for one arithmetic; include after a vector_*.h with these macros, of which it
// undefines the first two:
//   NAME(x)                      x with the suffix of the arithmetic
//   MULTIPLY_ADD(acc, a, w)      on 32-bit lanes: a float32 each, or two bfloat16
//   LINEAR_TILE_ROWS, LINEAR_PANEL_VECTORS   the tile: accumulators of rows x vectors of columns
//   LINEAR_PANEL_UNROLL          steps between two hints
//   LINEAR_PAIR_STEPS            the most steps of lanes that are summed in twos
//   LINEAR_IN_PLACE_ROWS(rows)   of a tile's rows, those whose elements are operands in memory: float32 only (none)
//
// linear_template.h adds an output's products in LANES sums, one a lane, and then the sums as a tree. Here the lanes of
// a vector are outputs, and a tile goes through its products lane by lane of there, in the order in which the tree takes
// them: what the tree adds then are whole vectors that wait in the first-level cache. So the bits are the same without
// the tree's shuffles, and rows and panels are read as two streams, however deep the matrix is: as they lie, the rows of
// a deep tile crowd that cache.
#ifndef FOVEA_LINEAR_PANEL
#define FOVEA_LINEAR_PANEL
// Levels of the tree.
#define PANEL_LEVELS (LANES == 16 ? 4 : LANES == 8 ? 3 : 2)
// How far ahead of a tile its rows are asked for: the next tile's come from the last-level cache or memory.
#define PANEL_ROW_PREFETCH 4096
// The rows at the end of a panel during which what comes next is asked for.
#define PANEL_LATE_ROWS 96

// What comes from memory while tiles are at work: `pace` bytes a hint from `next` on.
typedef struct {
  const char *next;
  size_t pace;
} panel_ahead;

// Steps of one lane. With one more than there are, the lanes do not begin in the same set of the first-level cache: rows
// and panels are written to all lanes in turn.
static inline size_t lane_stride(size_t steps) { return steps + 1; }

// How many parts of `size` hold `count`.
static inline size_t part_count(size_t count, size_t size) { return (count + size - 1) / size; }

// Of one step of LANES rows, to every lane's steps in the order of the lanes' places: the first `width` rows side by side,
// where a step takes `pitch` elements.
static inline __attribute__((always_inline)) void store_lanes(float *first_lane, size_t steps, size_t pitch, V rows[LANES],
                                                              size_t width) {
  v_transpose(rows);
#pragma clang loop unroll(full)
  for (int lane = 0; lane < LANES; lane++) {
    float *target = first_lane + (size_t)LANE_PLACE(lane) * lane_stride(steps) * pitch;
    if (width == LANES) v_store(target, rows[lane]);
    else v_store_first(target, rows[lane], width);
  }
}
#endif

// The products of one step of `lanes` lanes, `lane` steps apart.
//
// An element in memory is read once for each of its products, but costs no instruction of its own. While the core's other
// hardware thread is at work for others, this one gets half of the instructions and still enough reads.
static inline __attribute__((always_inline)) void NAME(panel_step)(V sums[2][LINEAR_TILE_ROWS * LINEAR_PANEL_VECTORS],
                                                                   const float *elements, const V *columns,
                                                                   size_t lane, const int rows, const int lanes) {
#pragma clang loop unroll(full)
  for (int l = 0; l < lanes; l++) {
    V weights[LINEAR_PANEL_VECTORS];
#pragma clang loop unroll(full)
    for (int v = 0; v < LINEAR_PANEL_VECTORS; v++) weights[v] = columns[(size_t)l * lane * LINEAR_PANEL_VECTORS + (size_t)v];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      const float *p = elements + (size_t)l * lane * FOVEA_ROW_BLOCK + (size_t)r;
      V *own = sums[l] + r * LINEAR_PANEL_VECTORS;
#ifdef LINEAR_IN_PLACE_ROWS
      if (r < LINEAR_IN_PLACE_ROWS(rows)) {
#pragma clang loop unroll(full)
        for (int v = 0; v < LINEAR_PANEL_VECTORS; v++) own[v] = v_fma_at(p, weights[v], own[v]);
        continue;
      }
#endif
      V element = v_set1(*p);
#pragma clang loop unroll(full)
      for (int v = 0; v < LINEAR_PANEL_VECTORS; v++) own[v] = MULTIPLY_ADD(own[v], element, weights[v]);
    }
  }
}

// `rows` rows of a block from `first` on, of which `present` exist, and whole vectors of columns from `column` on; in tiles
// of `part_rows` rows, one after another with each lane, which stays in the first-level cache for them.
//
// With two lanes at once a tile has an accumulator for each of them: the first level of the tree stays in registers, which
// counts where the lanes are short.
static inline __attribute__((always_inline)) void NAME(panel_tiles)(const fovea_linear *work, const float *x,
                                                                   const V *panel, panel_ahead ahead, size_t steps,
                                                                   size_t first, size_t column, const int rows,
                                                                   const int part_rows, const int lanes,
                                                                   size_t present) {
  const int count = part_rows * LINEAR_PANEL_VECTORS;
  const size_t lane = lane_stride(steps);
  V waiting[PANEL_LEVELS][FOVEA_ROW_BLOCK * LINEAR_PANEL_VECTORS];
  for (size_t place = 0; place < LANES; place += (size_t)lanes) {
#pragma clang loop unroll(disable)
    for (int part = 0; part < rows / part_rows; part++) {
      V sums[2][LINEAR_TILE_ROWS * LINEAR_PANEL_VECTORS];
#pragma clang loop unroll(full)
      for (int i = 0; i < lanes * count; i++) sums[i / count][i % count] = v_zero();
      const float *elements = x + part * part_rows;
      const V *columns = panel;
#if LINEAR_PANEL_UNROLL == 1
      const float *later = x + (size_t)part * lane * FOVEA_ROW_BLOCK;
#pragma clang loop unroll(disable)
      for (size_t step = 0; step < steps; step++) {
        __builtin_prefetch((const char *)later + PANEL_ROW_PREFETCH);
        __builtin_prefetch(ahead.next, 0, 2);
        NAME(panel_step)(sums, elements, columns, lane, part_rows, lanes);
        ahead.next += ahead.pace;
        elements += FOVEA_ROW_BLOCK;
        later += FOVEA_ROW_BLOCK;
        columns += LINEAR_PANEL_VECTORS;
      }
#else
      const float *const end = elements + steps * FOVEA_ROW_BLOCK;
#pragma clang loop unroll(disable)
      while (end - elements >= LINEAR_PANEL_UNROLL * FOVEA_ROW_BLOCK) {
        __builtin_prefetch(ahead.next, 0, 2);
#pragma clang loop unroll(full)
        for (int i = 0; i < LINEAR_PANEL_UNROLL; i++)
          NAME(panel_step)(sums, elements + i * FOVEA_ROW_BLOCK, columns + i * LINEAR_PANEL_VECTORS, lane, part_rows, lanes);
        ahead.next += ahead.pace;
        elements += LINEAR_PANEL_UNROLL * FOVEA_ROW_BLOCK;
        columns += LINEAR_PANEL_UNROLL * LINEAR_PANEL_VECTORS;
      }
#pragma clang loop unroll(disable)
      for (; elements < end; elements += FOVEA_ROW_BLOCK, columns += LINEAR_PANEL_VECTORS)
        NAME(panel_step)(sums, elements, columns, lane, part_rows, lanes);
#endif
      V *const own = sums[0];
      if (lanes == 2)
#pragma clang loop unroll(full)
        for (int i = 0; i < count; i++) own[i] = v_add(own[i], sums[1][i]);
      // As many levels are complete as the last place ends in ones.
      size_t level = (size_t)lanes - 1;
      for (; (place + (size_t)lanes - 1) >> level & 1; level++)
#pragma clang loop unroll(full)
        for (int i = 0; i < count; i++) own[i] = v_add(waiting[level][part * count + i], own[i]);
      if (level < PANEL_LEVELS) {
#pragma clang loop unroll(full)
        for (int i = 0; i < count; i++) waiting[level][part * count + i] = own[i];
        continue;
      }
#pragma clang loop unroll(full)
      for (int r = 0; r < part_rows; r++) {
        const size_t row = (size_t)(part * part_rows + r);
        if (row >= present) break;
        float *out = work->outputs + (ptrdiff_t)(first + row) * work->output_stride + column;
#pragma clang loop unroll(full)
        for (int v = 0; v < LINEAR_PANEL_VECTORS; v++) {
          V total = own[r * LINEAR_PANEL_VECTORS + v];
          if (work->bias) total = v_add(total, v_load(work->bias + column + v * LANES));
          if (work->accumulates) total = v_add(v_load(out + v * LANES), total);
          v_store(out + v * LANES, total);
        }
      }
    }
    x += (size_t)lanes * lane * FOVEA_ROW_BLOCK;
    panel += (size_t)lanes * lane * LINEAR_PANEL_VECTORS;
  }
}

// The columns of one panel for all rows. Meanwhile `byte_count` bytes from `next` on come into the second-level cache:
// late, or the rows would drive them out again; then spread over the steps, but at most a line in each, since what is
// fetched in haste is in the way of what is needed now.
static void NAME(multiply_panel)(const fovea_linear *work, const V *panel, size_t column, size_t steps,
                                 const char *next, size_t byte_count) {
  const size_t block_stride = fovea_packed_rows_byte_count(FOVEA_ROW_BLOCK, work->depth) / sizeof(float);
  const size_t late_row = work->row_count > PANEL_LATE_ROWS ? work->row_count - PANEL_LATE_ROWS : 0;
  const size_t tile_hints = steps / LINEAR_PANEL_UNROLL * LANES;
  const size_t hint_count = part_count(work->row_count - late_row, FOVEA_ROW_BLOCK) * tile_hints;
  size_t pace = hint_count ? part_count(byte_count, hint_count) : 0;
  if (pace > 64) pace = 64;
  const char *const end = next + byte_count;
  for (size_t row = 0; row < work->row_count; row += FOVEA_ROW_BLOCK) {
    const float *x = (const float *)work->packed_activations + row / FOVEA_ROW_BLOCK * block_stride;
    const size_t left = work->row_count - row;
    // Without anything to fetch, what is in the first-level cache already.
    panel_ahead ahead = {(const char *)panel, 0};
    if (row >= late_row && next < end) {
      ahead = (panel_ahead){next, pace};
      next += pace * tile_hints;
    }
#define BLOCK_PART(rows, part_rows, lanes) \
  NAME(panel_tiles)(work, x, panel, ahead, steps, row, column, rows, part_rows, lanes, left)
    // Rows that do not exist are zeros in their block.
    if (left > FOVEA_ROW_BLOCK * 2 / 3 && steps <= LINEAR_PAIR_STEPS)
      BLOCK_PART(FOVEA_ROW_BLOCK, LINEAR_TILE_ROWS / 2, 2);
    else if (left > FOVEA_ROW_BLOCK * 2 / 3) BLOCK_PART(FOVEA_ROW_BLOCK, LINEAR_TILE_ROWS, 1);
    else if (left > FOVEA_ROW_BLOCK / 3)
      BLOCK_PART(FOVEA_ROW_BLOCK * 2 / 3, LINEAR_TILE_ROWS < FOVEA_ROW_BLOCK ? 4 : 8, 1);
    else BLOCK_PART(FOVEA_ROW_BLOCK / 3, 4, 1);
#undef BLOCK_PART
  }
}

#undef NAME
#undef MULTIPLY_ADD
