// The SIMD kernels of Fovea: one table of functions per instruction set.
//
// Kernels allocate nothing, start no threads and do no I/O. Each takes a range of work; the caller divides work
// among threads. Strides count elements. Unless said otherwise, pointers need only the alignment of their element,
// inputs and outputs do not overlap, a size of zero is allowed and writes nothing, and NaN and infinity follow
// IEEE 754. No kernel reads past the last element that it is given.
//
// For one instruction set the bits of an output element depend only on the inputs of that element, never on how
// many rows, columns or keys one call covers.
#ifndef FOVEA_KERNELS_H
#define FOVEA_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fovea_coded.h"
#include "fovea_element.h"
#include "fovea_int16.h"
#include "fovea_quantized.h"

// outputs[r, c] = sum over k of activations[r, k] * weights[c, k] (+ bias[c]) (+ the old outputs[r, c]), float32.
//
// One accumulator vector per output, lanes along k, then a fixed reduction tree. Products of float32 are fused
// multiply-adds; bfloat16 pairs use the dot instruction where the CPU has it. Error: that of float32 accumulation,
// about depth / lanes roundings.
typedef struct {
  const void *activations;  // [row_count, depth]
  ptrdiff_t activation_stride;
  const void *weights;  // [column_count, depth]
  ptrdiff_t weight_stride;
  const float *bias;  // [column_count], or null
  float *outputs;     // [row_count, column_count]
  ptrdiff_t output_stride;
  size_t row_count;
  size_t column_count;
  size_t depth;
  bool accumulates;  // add to what outputs holds
  // The activations as `pack_rows` lays them out, which many rows are multiplied fastest from, and memory for the weights
  // in the order that goes with it, 64-byte aligned, of fovea_linear_panel_byte_count bytes; or null. The same bits come
  // out.
  const void *packed_activations;
  void *panels;
  bool panels_hold_weights;  // from the call before, for the same columns
  // With panels, `next_byte_count` bytes that are not read but brought into the second-level cache along the way.
  const void *next;
  size_t next_byte_count;
} fovea_linear;
typedef void (*fovea_linear_kernel)(const fovea_linear *work);

// Rows of one block of packed activations.
#define FOVEA_ROW_BLOCK 12

// Packs rows of activations for fovea_linear, block after block of FOVEA_ROW_BLOCK rows; what a last block lacks are zeros.
// The columns are a part of the depth, from `first` on: a multiple of 32, as is their number but for the last part.
typedef struct {
  const void *rows;  // [row_count, column_count]
  ptrdiff_t stride;
  size_t row_count;
  size_t first;
  size_t column_count;
  size_t depth;
  void *packed;  // 64-byte aligned, fovea_packed_rows_byte_count bytes
} fovea_row_pack;
typedef void (*fovea_row_pack_kernel)(const fovea_row_pack *work);

// outputs[r, c] = sum over k of activations[r, k] * weights[c, k] (+ the old outputs[r, c]) (+ bias[c]), float32.
//
// For packed_linear `packed` are the weights as `pack_keys` of the float32 layout lays out a block of keys: their rows are
// the keys, `depth` is the dimension. One accumulator a lane, added step by step along k, so that a product may be cut
// along its depth: with `continues` the sums go on from what outputs holds, and the bias comes with the last part. For
// packed_linear_int16 activations are rounded rows and weights packed ones: the sum of a group is exact and enters the
// outputs as fma(sum * weight scale, activation scale, outputs), so that its bits are the same for all tables but the
// reference; parts begin with a group. `next` is not read but brought into the second-level cache along the way: packed
// weights of the same shape, or null. Few rows bring what follows `packed` there instead.
typedef struct {
  const void *activations;      // [row_count, depth]: float32, or the integers of rounded rows
  ptrdiff_t activation_stride;  // in 4 bytes
  const float *activation_scales;  // of the first row; of the others as far apart as the rows
  const void *packed;  // [column_count, depth]; column_count is at most FOVEA_KEY_BLOCK, or 64 of int16
  const float *bias;   // [column_count], or null
  float *outputs;      // [row_count, column_count]
  ptrdiff_t output_stride;
  size_t row_count;
  size_t column_count;
  size_t depth;
  bool continues;
  const void *next;
} fovea_packed_linear;

// The number of keys in one block of the attention kernels. Blocks are counted from key 0 of the cache; a row's
// result is combined block by block in this order, whatever the tiling. A power of two.
#define FOVEA_KEY_BLOCK 256
// Query rows whose scores are held at once.
#define FOVEA_ROW_STEP 24
// The most query rows of fovea_attention_rows: with more, packing a block costs less than reading it as it lies.
#define FOVEA_DIRECT_ROWS 8

// How a block of keys and values is laid out for the attention kernels.
typedef enum {
  FOVEA_TILE_FLOAT32 = 0,   // every element widened to float32
  FOVEA_TILE_BFLOAT16 = 1,  // pairs of bfloat16, along the head dimension in keys and queries, along keys in values
} fovea_tile;
#define FOVEA_TILE_COUNT 2

// One run of rows for a packing kernel: `count` rows of `dimension` elements, `stride` elements apart. The bfloat16
// layout takes bfloat16 rows only. Keys and values are packed into a block run by run, in order; what follows the last
// run up to the next whole vector or pair is set to zero. Returns whether a value was infinite or NaN (values only).
typedef struct {
  const void *rows;
  ptrdiff_t stride;
  fovea_element element;
  size_t count;
  size_t dimension;
  size_t first;  // where the first row lies inside the block, for a block made of several segments
  void *packed;
} fovea_pack;
typedef bool (*fovea_pack_kernel)(const fovea_pack *work);

// One block of at most FOVEA_KEY_BLOCK keys against a tile of query rows.
//
// score = scale * (q . k); with soft_cap > 0 score = soft_cap * tanh(score / soft_cap); plus mask. Scores outside of
// a row's visible range, or where the mask is -infinity, are left out whatever they are. With m_b the block's maximum, p = exp(score - m_b),
// l_b = sum p, o_b = sum p * v, the running state of the row becomes
//   m' = max(m, m_b), l' = l * exp(m - m') + l_b * exp(m_b - m'), o' = fma(o_b, exp(m_b - m'), o * exp(m - m')).
// Start a row with m = -infinity, l = 0, o = 0. A row that sees nothing of the block keeps its state.
typedef struct {
  const void *queries;  // packed, [row_count, depth_steps] of 32-bit lanes
  const void *keys;     // packed block
  const void *values;   // packed block
  size_t row_count;
  size_t key_count;
  size_t dimension;        // of queries and keys
  size_t value_dimension;
  float scale;
  float soft_cap;          // 0: none
  const int32_t *visible_begin;  // [row_count], first visible key of the block for each row
  const int32_t *visible_end;    // [row_count], one past the last
  const float *mask;       // additive, [row_count, FOVEA_KEY_BLOCK], or null
  float *maxima;           // [row_count], running m
  float *sums;             // [row_count], running l
  float *outputs;          // [row_count, padded value_dimension], running o
  void *scratch;           // fovea_attention_scratch_byte_count bytes, 64-byte aligned
  bool values_not_finite;  // the block holds an infinite or NaN value: keys of weight 0 are then cut out row by row
} fovea_attention_block;
typedef void (*fovea_attention_kernel)(const fovea_attention_block *work);

// The same block for at most FOVEA_DIRECT_ROWS query rows, read where it lies in one run of memory, to the same bits.
// `keys`, `values` and `values_not_finite` of the block are not used.
//
// Returns false, with the state unchanged, where the block must be packed after all: dimensions that do not fill the
// vectors, and values that are infinite or NaN.
typedef struct {
  fovea_attention_block block;
  const void *key_rows;  // [key_count, dimension]
  ptrdiff_t key_stride;
  fovea_element key_element;
  const void *value_rows;  // [key_count, value_dimension]
  ptrdiff_t value_stride;
  fovea_element value_element;
  bool comes_from_memory;  // the rows lie in memory rather than a cache: changes the pace only
} fovea_attention_rows;
typedef bool (*fovea_attention_rows_kernel)(const fovea_attention_rows *work);

// The same for a block of coded keys and values, at any number of query rows, whose `queries`, `keys` and `values` are
// not used. Key and value dimension are those of the format.
//
// The dot products and the sums of values are those of integers. What enters them beside the codes is rounded: q *
// key_scale to 15 bits, sign included, the largest of a row and group of positions being 16255, and p * value_scale to 14
// bits, the largest of a row, block and group of dimensions being 16383. The rest is float32. Keys whose p is 0 are left
// out. Error: 1/64000 of the largest factor times the range of the codes for each code, and float32 rounding.
typedef struct {
  fovea_attention_block block;
  fovea_code_format format;
  const void *coded;
  const float *queries;  // [row_count, dimension rounded up to 16], the rest of a row being zeros
} fovea_coded_attention;
// Rows that share one pass over a coded block.
#define FOVEA_CODED_ROW_STEP 4
// The most positions or dimensions of a group.
#define FOVEA_CODED_GROUP_LIMIT 64

// Joins the states that later blocks left apart (block_*, in order) to that of the same rows after the blocks before,
// by the formula of fovea_attention_block: keys may be split among threads without changing a bit.
typedef struct {
  size_t row_count;
  size_t value_dimension;
  float *maxima;
  float *sums;
  float *outputs;
  size_t block_count;
  size_t block_stride;        // elements from the arrays of one block to those of the next
  const float *block_maxima;  // [block_count, row_count], and so on
  const float *block_sums;
  const float *block_outputs;
} fovea_attention_merge;

// The root-mean-square norm: outputs[i] = inputs[i] / sqrt(mean(inputs^2) + epsilon) * weight[i], per row.
// outputs may be the inputs where both are float32.
typedef struct {
  const float *inputs;  // [row_count, dimension]
  ptrdiff_t input_stride;
  const float *weight;  // [dimension]
  float epsilon;
  void *outputs;  // [row_count, dimension]
  ptrdiff_t output_stride;
  fovea_element output_element;
  size_t row_count;
  size_t dimension;
} fovea_rms_norm;

// The norm of mean and variance: outputs[i] = (inputs[i] - mean) / sqrt(variance + epsilon) * weight[i] + bias[i], per
// row, with variance = mean((inputs - mean)^2). outputs may be the inputs where both are float32.
typedef struct {
  const float *inputs;  // [row_count, dimension]
  ptrdiff_t input_stride;
  const float *weight;  // [dimension]
  const float *bias;    // [dimension]
  float epsilon;
  void *outputs;  // [row_count, dimension]
  ptrdiff_t output_stride;
  fovea_element output_element;
  size_t row_count;
  size_t dimension;
} fovea_layer_norm;

// The functions between the matrices of a feed-forward block.
typedef enum {
  FOVEA_SILU = 0,           // g / (1 + exp(-g)) * u
  FOVEA_GELU = 1,           // g * Phi(g) * u, Phi the normal distribution's
  FOVEA_GELU_TANH = 2,      // g * (1 + tanh(sqrt(2 / pi) * (g + 0.044715 * g^3))) / 2 * u
  FOVEA_CLAMPED_SWISH = 3,  // with g = min(gate, limit), u = clamp(up, -limit, limit): g / (1 + exp(-gain * g)) * (u + 1)
} fovea_activation_kind;

// outputs[i] = function(gate[i], up[i]), within 4e-7 of it relative to 1 + |gate| * (1 + |up|). Without `up`, u is 1.
typedef struct {
  fovea_activation_kind kind;
  const float *gate;  // [count]
  const float *up;    // [count], or null
  float gain;         // of FOVEA_CLAMPED_SWISH
  float limit;
  void *outputs;  // [count]
  fovea_element output_element;
  size_t count;
} fovea_activation;

// Everything one instruction set offers. The packed layouts are private to the table that made them.
typedef struct {
  const char *name;

  // Products by type of the activations and of the weights; null where the pair is not offered:
  // float32 activations go with all weights, bfloat16 activations with bfloat16 weights.
  fovea_linear_kernel linear[FOVEA_ELEMENT_COUNT][FOVEA_ELEMENT_COUNT];
  fovea_row_pack_kernel pack_rows[FOVEA_ELEMENT_COUNT];  // null: the kernels take no packed activations of that type
  // From how many rows on packed activations take less time with weights of 16 bits; with rows of 1024 weights or more,
  // which crowd the first-level cache earlier.
  size_t least_packed_rows, least_packed_rows_long;

  // Products with quantised weights.
  void (*activation_codes)(const fovea_activation_codes *work);
  void (*quantized_linear)(const fovea_quantized_linear *work);
  void (*packed_linear)(const fovea_packed_linear *work);
  // The same on integers of 16 bits.
  void (*packed_linear_int16)(const fovea_packed_linear *work);
  void (*round_int16)(const fovea_int16_rows *work);
  void (*pack_int16)(const fovea_int16_pack *work);

  void (*rms_norm)(const fovea_rms_norm *work);
  void (*layer_norm)(const fovea_layer_norm *work);
  void (*activate)(const fovea_activation *work);
  // outputs[i] += inputs[i] * factor, fused.
  void (*add_scaled)(const float *inputs, float factor, float *outputs, size_t count);
  // outputs[i] = cap * tanh(inputs[i] / cap), within 4e-7 * cap; outputs may be the inputs.
  void (*soft_cap)(const float *inputs, float cap, float *outputs, size_t count);
  // Rotates pairs (i, i + pair_count) of the first 2 * pair_count inputs by the angles whose cosine and sine are
  // given, passes the rest of `dimension` on, and converts to the output type.
  void (*rotate)(const float *inputs, const float *cosine, const float *sine, size_t pair_count, size_t dimension,
                 void *outputs, fovea_element output_element);
  // Conversion, round to nearest even; the two may be the same type.
  void (*convert)(const void *inputs, fovea_element input_element, void *outputs, fovea_element output_element,
                  size_t count);
  // outputs[i] = 0 where inputs[i] is not 0, else -infinity: a Boolean mask as an additive one.
  void (*widen_boolean)(const uint8_t *inputs, float *outputs, size_t count);
  // log(sum(exp(inputs))), accumulated in double; -infinity for count 0.
  double (*log_sum_exp)(const float *inputs, size_t count);
  // exp, within 2 units in the last place; exact 0 at -infinity. For tests and small jobs.
  void (*exponential)(const float *inputs, float *outputs, size_t count);

  // Which tile layouts have kernels; FOVEA_TILE_BFLOAT16 may be null.
  fovea_pack_kernel pack_queries[FOVEA_TILE_COUNT];
  fovea_pack_kernel pack_keys[FOVEA_TILE_COUNT];
  fovea_pack_kernel pack_values[FOVEA_TILE_COUNT];
  fovea_attention_kernel attention[FOVEA_TILE_COUNT];
  // Null where a table has none.
  fovea_attention_rows_kernel attention_rows[FOVEA_TILE_COUNT];
  void (*attention_merge)(const fovea_attention_merge *work);
  // Caches in codes.
  void (*code_block)(const fovea_code_block *work);
  void (*coded_attention)(const fovea_coded_attention *work);
  // outputs[i] = inputs[i] * factor, converted; outputs may be the inputs where both are float32.
  void (*scale)(const float *inputs, float factor, void *outputs, fovea_element output_element, size_t count);
} fovea_kernels;

// The bytes of `panels` in fovea_linear, whole cache lines; enough for every table.
size_t fovea_linear_panel_byte_count(size_t column_count, size_t depth);
// The bytes of packed activations: whole blocks, which lie as far apart as one of them takes.
size_t fovea_packed_rows_byte_count(size_t row_count, size_t depth);
// Sizes of the packed layouts in bytes, rounded up to 64; the same for every table.
size_t fovea_packed_query_byte_count(fovea_tile tile, size_t row_count, size_t dimension);
size_t fovea_packed_key_byte_count(fovea_tile tile, size_t dimension);
size_t fovea_packed_value_byte_count(fovea_tile tile, size_t value_dimension);
size_t fovea_attention_scratch_byte_count(fovea_tile tile, size_t value_dimension);
// Elements from one row of `outputs` to the next in fovea_attention_block: value_dimension rounded up to 16.
size_t fovea_padded_value_dimension(size_t value_dimension);

// The instruction sets that this library was built with, the fastest on this CPU first, ended by null;
// `fovea_kernels_supported` says whether the CPU (and its operating system) can run one.
const fovea_kernels *const *fovea_kernels_all(void);
bool fovea_kernels_supported(const fovea_kernels *kernels);

// A hint to the CPU that this thread is spinning.
void fovea_spin_pause(void);
// Asks for all of `byte_count` bytes from `base` on at once, into the first-level cache: what another thread has written
// would come a few lines at a time otherwise, and each takes as long as a hundred multiply-adds or more.
void fovea_fetch(const void *base, size_t byte_count);

#endif
