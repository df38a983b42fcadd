// The products themselves; include after quantized_bytes.h with these macros:
//   QUANTIZED_LINEAR  the function's name
//   BYTE_DOT          1 where the CPU has the dot instruction of unsigned with signed bytes (AVX-VNNI), else 0
//
// Without it, neighbouring products of bytes are added up as 16 bits, which hold two products of a signed byte with
// -127 … 127, or the sixteen of a block with codes of 4 bits.

#define FEW_ROWS 8
#define TILE_ROWS 4
#define CAREFUL_TILE_ROWS 6
#define SPREAD_CODE_BYTES 2
#define TILE_VECTORS 2
#define TILE_COLUMNS (TILE_VECTORS * VECTOR_COLUMNS)
// Codes above 15 overflow 16 bits in the sums of a block: first come the products of their lower four bits, then 16 times
// those of the upper ones.
#if BYTE_DOT
#define NEEDS_CARE(weights) ((void)(weights), false)
#else
#define NEEDS_CARE(weights) ((weights)->bits > 4 || (weights)->kind == FOVEA_MXFP4)
#endif

static inline B widen_pairs(B pairs) { return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); }

// MARK: A few rows

// A block of activations as bytes of codes meet it. Products of whole bytes leave no room in 16 bits for another one:
// without the byte dot instruction both are widened to 16 bits, in halves.
typedef struct {
  B first, second;
} block_activations;

static inline block_activations load_activations(const int8_t *x) {
#if BYTE_DOT
  return (block_activations){b_load(x), b_zero()};
#else
  const __m128i *halves = (const __m128i *)x;
  return (block_activations){_mm256_cvtepi8_epi16(_mm_loadu_si128(halves)),
                             _mm256_cvtepi8_epi16(_mm_loadu_si128(halves + 1))};
#endif
}

// The products of a block of codes, added up to as many sums as there are lanes.
static inline B multiply_codes(const uint8_t *codes, block_activations x) {
#if BYTE_DOT
  return _mm256_dpbusd_avx_epi32(b_zero(), b_load(codes), x.first);
#else
  const __m128i *halves = (const __m128i *)codes;
  const B first = _mm256_cvtepu8_epi16(_mm_loadu_si128(halves)), second = _mm256_cvtepu8_epi16(_mm_loadu_si128(halves + 1));
  return _mm256_add_epi32(_mm256_madd_epi16(first, x.first), _mm256_madd_epi16(second, x.second));
#endif
}

static inline B multiply_nibbles(B low, B even, B high, B odd) {
#if BYTE_DOT
  return _mm256_dpbusd_avx_epi32(_mm256_dpbusd_avx_epi32(b_zero(), low, even), high, odd);
#else
  return widen_pairs(_mm256_add_epi16(_mm256_maddubs_epi16(low, even), _mm256_maddubs_epi16(high, odd)));
#endif
}

// The sums of the quads of 8 columns: of the lower halves of their vectors, and of the upper ones.
static inline __attribute__((always_inline)) void add_columns(const B s[8], B *lower, B *upper) {
  const B first = b_add_quads(s), second = b_add_quads(s + 4);
  *lower = _mm256_permute2x128_si256(first, second, 0x20);
  *upper = _mm256_permute2x128_si256(first, second, 0x31);
}

// Where the scales of a block lie after those of the one before: groups begin with whole blocks.
typedef struct {
  const float *scale;
  size_t left, per_group;
} block_scales;

static inline __m256 next_scale(block_scales *scales) {
  const __m256 scale = _mm256_loadu_ps(scales->scale);
  if (--scales->left == 0) scales->scale += VECTOR_COLUMNS, scales->left = scales->per_group;
  return scale;
}

// One row and 8 columns whose codes begin at p; bytes of codes.
static inline __m256 row_of_bytes(const fovea_quantized_linear *work, const int8_t *x, const float *activation_scales,
                                  const uint8_t *const p[8], const float *scales) {
  const size_t blocks = work->depth / FOVEA_CODE_BLOCK, per_group = work->weights.group_size / FOVEA_CODE_BLOCK;
  const uint8_t *ahead = p[0] + bytes_ahead(work, 8);
  block_scales next = {scales, per_group, per_group};
  __m256 total = _mm256_setzero_ps();
  for (size_t block = 0; block < blocks; block++) {
    const block_activations activations = load_activations(x + block * FOVEA_CODE_BLOCK);
    B s[8], lower, upper;
#pragma clang loop unroll(full)
    for (int c = 0; c < 8; c++) {
      if (c % 2 == 0) __builtin_prefetch(ahead + block * 8 * FOVEA_CODE_BLOCK + 32 * c);
      s[c] = multiply_codes(p[c] + block * FOVEA_CODE_BLOCK, activations);
    }
    add_columns(s, &lower, &upper);
    total = b_add_block(_mm256_add_epi32(lower, upper), next_scale(&next), activation_scales[block], total);
  }
  return total;
}

// The sums of two blocks of 8 columns with codes of 4 bits, one in each half of a vector. Without `is_pair` there is no other
// one, nor its codes.
static inline __attribute__((always_inline)) void multiply_pair(const int8_t *x, const uint8_t *const p[8],
                                                                const uint8_t *ahead, size_t block, B *lower, B *upper,
                                                                const bool is_mxfp4, const bool is_pair) {
  const B one = b_load(x + block * FOVEA_CODE_BLOCK);
  const B other = is_pair ? b_load(x + (block + 1) * FOVEA_CODE_BLOCK) : b_zero();
  const B even = _mm256_permute2x128_si256(one, other, 0x20), odd = _mm256_permute2x128_si256(one, other, 0x31);
  B s[8];
#pragma clang loop unroll(full)
  for (int c = 0; c < 8; c++) {
    if (c % 2 == 0) __builtin_prefetch(ahead + block * 4 * FOVEA_CODE_BLOCK + 32 * c);
    const uint8_t *codes = p[c] + block * FOVEA_CODE_BLOCK / 2;
    const B bytes = is_pair ? b_load(codes) : _mm256_zextsi128_si256(_mm_loadu_si128((const __m128i *)codes));
    B low = b_low_nibbles(bytes), high = b_high_nibbles(bytes);
    if (is_mxfp4) low = b_mxfp4_codes(low), high = b_mxfp4_codes(high);
    s[c] = multiply_nibbles(low, even, high, odd);
  }
  add_columns(s, lower, upper);
}

// The same as row_of_bytes for codes of 4 bits.
static inline __attribute__((always_inline)) __m256 row_of_nibbles(const fovea_quantized_linear *work, const int8_t *x,
                                                                   const float *activation_scales,
                                                                   const uint8_t *const p[8], const float *scales,
                                                                   const bool is_mxfp4) {
  const size_t blocks = work->depth / FOVEA_CODE_BLOCK, per_group = work->weights.group_size / FOVEA_CODE_BLOCK;
  const uint8_t *ahead = p[0] + bytes_ahead(work, 8);
  block_scales next = {scales, per_group, per_group};
  __m256 total = _mm256_setzero_ps();
  B lower, upper;
  size_t block = 0;
  for (; block + 1 < blocks; block += 2) {
    multiply_pair(x, p, ahead, block, &lower, &upper, is_mxfp4, true);
    total = b_add_block(lower, next_scale(&next), activation_scales[block], total);
    total = b_add_block(upper, next_scale(&next), activation_scales[block + 1], total);
  }
  if (block == blocks) return total;
  multiply_pair(x, p, ahead, block, &lower, &upper, is_mxfp4, false);
  return b_add_block(lower, next_scale(&next), activation_scales[block], total);
}

static void multiply_row(const fovea_quantized_linear *work, size_t row, size_t column, const uint8_t *const p[8],
                         const float *scales, const float *biases) {
  const fovea_quantized_matrix *weights = &work->weights;
  const size_t blocks = work->depth / FOVEA_CODE_BLOCK, groups = work->depth / weights->group_size;
  const int8_t *x = work->codes + row * fovea_code_stride(work->depth);
  const float *activation_scales = work->scales + row * blocks, *sums = work->sums + row * groups;
  __m256 bias_total = _mm256_setzero_ps(), total;
  for (size_t group = 0; group < groups; group++)
    bias_total = _mm256_fmadd_ps(_mm256_loadu_ps(biases + group * VECTOR_COLUMNS), _mm256_set1_ps(sums[group]), bias_total);
  if (weights->bits == 8) total = row_of_bytes(work, x, activation_scales, p, scales);
  else if (weights->kind == FOVEA_MXFP4) total = row_of_nibbles(work, x, activation_scales, p, scales, true);
  else total = row_of_nibbles(work, x, activation_scales, p, scales, false);
  b_store_outputs(work, row, column, _mm256_add_ps(total, bias_total));
}

// MARK: Many rows

// The 32 codes of a block of one column, in the order of its activations.
static inline B block_codes(const fovea_quantized_matrix *weights, size_t column, size_t block) {
  const uint8_t *p = weights->codes + (ptrdiff_t)column * weights->code_stride;
  if (weights->bits == 8) return b_load(p + block * FOVEA_CODE_BLOCK);
  if (weights->bits == 4) {
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(p + block * FOVEA_CODE_BLOCK / 2));
    const B nibbles = b_low_nibbles(_mm256_set_m128i(_mm_srli_epi16(bytes, 4), bytes));
    return weights->kind == FOVEA_MXFP4 ? b_mxfp4_codes(nibbles) : nibbles;
  }
  uint8_t codes[FOVEA_CODE_BLOCK];
  unpack_codes(weights, column, block * FOVEA_CODE_BLOCK, FOVEA_CODE_BLOCK, codes);
  return b_load(codes);
}

// Spreads the codes of a tile's columns: [blocks][8 steps][TILE_VECTORS], lane c of a vector holds 4 codes of column c; wide
// ones [TILE_VECTORS][blocks][8 steps][2], their lower four bits and the upper ones.
static void spread_codes(const fovea_quantized_linear *work, size_t column, B *spread) {
  const size_t blocks = work->depth / FOVEA_CODE_BLOCK;
  const bool is_wide = NEEDS_CARE(&work->weights);
  for (size_t vector = 0; vector < TILE_VECTORS; vector++) {
    for (size_t block = 0; block < blocks; block++) {
      B rows[8];
      for (size_t c = 0; c < 8; c++)
        rows[c] = block_codes(&work->weights, held_column(work, column + vector * VECTOR_COLUMNS + c), block);
      b_transpose(rows);
      if (is_wide) {
        B *target = spread + (vector * blocks + block) * 16;
        for (size_t step = 0; step < 8; step++) {
          target[2 * step] = b_low_nibbles(rows[step]);
          target[2 * step + 1] = b_high_nibbles(rows[step]);
        }
      } else {
        for (size_t step = 0; step < 8; step++) spread[(block * 8 + step) * TILE_VECTORS + vector] = rows[step];
      }
    }
  }
}

// sums[r][i], of all 8 steps of a block: the products of two vectors of weights a step with rows of activations.
static inline __attribute__((always_inline)) void multiply_steps(const B *steps, const int8_t *x, size_t code_stride,
                                                                 B sums[][2], const int rows) {
#pragma clang loop unroll(full)
  for (int step = 0; step < 8; step++) {
    const B weights[2] = {steps[2 * step], steps[2 * step + 1]};
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      int32_t four;
      memcpy(&four, x + (size_t)r * code_stride + 4 * step, 4);
      const B activations = _mm256_set1_epi32(four);
#pragma clang loop unroll(full)
      for (int i = 0; i < 2; i++) {
#if BYTE_DOT
        sums[r][i] = _mm256_dpbusd_avx_epi32(step == 0 ? b_zero() : sums[r][i], weights[i], activations);
#else
        const B products = _mm256_maddubs_epi16(weights[i], activations);
        sums[r][i] = step == 0 ? products : _mm256_add_epi16(sums[r][i], products);
#endif
        b_keep(&sums[r][i]);
      }
    }
  }
}

// A tile of the outputs, with the scales and biases of its columns.
typedef struct {
  const fovea_quantized_linear *work;
  size_t row, column, scale_count;
  const float *scales, *biases;
} quantized_tile;

// A tile of rows and `vectors` vectors of columns, 2, or 1 of wide codes.
static inline __attribute__((always_inline)) void multiply_vectors(const quantized_tile tile, const B *spread,
                                                                   const int rows, const int vectors) {
  const fovea_quantized_linear *work = tile.work;
  const size_t blocks = work->depth / FOVEA_CODE_BLOCK, groups = work->depth / work->weights.group_size;
  const size_t per_group = work->weights.group_size / FOVEA_CODE_BLOCK, code_stride = fovea_code_stride(work->depth);
  const int8_t *x = work->codes + tile.row * code_stride;
  const float *activation_scales = work->scales + tile.row * blocks, *sums = work->sums + tile.row * groups;
  __m256 total[CAREFUL_TILE_ROWS][2], bias_total[CAREFUL_TILE_ROWS][2];
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) total[r][v] = bias_total[r][v] = _mm256_setzero_ps();
  for (size_t block = 0; block < blocks; block++) {
    B dots[CAREFUL_TILE_ROWS][2];
    multiply_steps(spread + block * 16, x + block * FOVEA_CODE_BLOCK, code_stride, dots, rows);
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
#if !BYTE_DOT
      if (vectors == 1) {
        const B upper = _mm256_madd_epi16(dots[r][1], _mm256_set1_epi16(16));
        dots[r][0] = _mm256_add_epi32(widen_pairs(dots[r][0]), upper);
      } else {
        dots[r][0] = widen_pairs(dots[r][0]), dots[r][1] = widen_pairs(dots[r][1]);
      }
#endif
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) {
        const __m256 scale = _mm256_loadu_ps(tile.scales + v * tile.scale_count + block / per_group * VECTOR_COLUMNS);
        total[r][v] = b_add_block(dots[r][v], scale, activation_scales[r * blocks + block], total[r][v]);
      }
    }
  }
  for (size_t group = 0; group < groups; group++)
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) {
        const __m256 bias = _mm256_loadu_ps(tile.biases + v * tile.scale_count + group * VECTOR_COLUMNS);
        bias_total[r][v] = _mm256_fmadd_ps(bias, _mm256_set1_ps(sums[r * groups + group]), bias_total[r][v]);
      }
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++)
      b_store_outputs(work, tile.row + r, tile.column + v * VECTOR_COLUMNS, _mm256_add_ps(total[r][v], bias_total[r][v]));
}

static inline __attribute__((always_inline)) void multiply_tile(const fovea_quantized_linear *work, size_t row,
                                                                size_t column, const B *spread, const float *scales,
                                                                const float *biases, size_t scale_count,
                                                                const int rows, const bool is_wide) {
  quantized_tile tile = {work, row, column, scale_count, scales, biases};
  if (!is_wide) {
    multiply_vectors(tile, spread, rows, TILE_VECTORS);
    return;
  }
  for (int v = 0; v < TILE_VECTORS; v++) {
    multiply_vectors(tile, spread, rows, 1);
    spread += work->depth / FOVEA_CODE_BLOCK * 16;
    tile.column += VECTOR_COLUMNS, tile.scales += scale_count, tile.biases += scale_count;
  }
}

#include "quantized_frame.h"
