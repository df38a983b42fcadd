// Which instruction sets are built in, and which of them this CPU runs.
#include "tables.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

static const fovea_kernels *const all_kernels[] = {
#if defined(__x86_64__)
    &fovea_kernels_avx512bf16, &fovea_kernels_avx512vnni, &fovea_kernels_avx512,
    &fovea_kernels_avxvnni, &fovea_kernels_avx2,
#elif defined(__aarch64__)
    &fovea_kernels_dotprod, &fovea_kernels_neon,
#endif
    &fovea_kernels_scalar, NULL};

#if defined(__x86_64__)
// Intel's dot product of bfloat16 has half the pace of the float32 multiply-adds that it replaces (Emerald Rapids: a vector
// in two cycles, two multiply-adds in one); AMD's has twice theirs.
static const fovea_kernels *const all_kernels_intel[] = {
    &fovea_kernels_avx512vnni, &fovea_kernels_avx512bf16, &fovea_kernels_avx512,
    &fovea_kernels_avxvnni, &fovea_kernels_avx2, &fovea_kernels_scalar, NULL};
#endif

const fovea_kernels *const *fovea_kernels_all(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_is("intel")) return all_kernels_intel;
#endif
  return all_kernels;
}

bool fovea_kernels_supported(const fovea_kernels *kernels) {
#if defined(__x86_64__)
  // __builtin_cpu_supports also asks the operating system whether it saves the wide registers.
  __builtin_cpu_init();
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  bool avx512vnni = avx512 && __builtin_cpu_supports("avx512vnni");
  if (kernels == &fovea_kernels_avx2) return avx2;
  if (kernels == &fovea_kernels_avxvnni) return avx2 && __builtin_cpu_supports("avxvnni");
  if (kernels == &fovea_kernels_avx512) return avx512;
  if (kernels == &fovea_kernels_avx512vnni) return avx512vnni;
  if (kernels == &fovea_kernels_avx512bf16) return avx512vnni && __builtin_cpu_supports("avx512bf16");
#elif defined(__aarch64__) && defined(__linux__)
  // Bit 20 says that there are dot products (HWCAP_ASIMDDP); every Apple processor of this kind has them.
  if (kernels == &fovea_kernels_dotprod) return (getauxval(AT_HWCAP) & 1ul << 20) != 0;
#endif
  return kernels != NULL;
}

void fovea_spin_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

void fovea_fetch(const void *base, size_t byte_count) {
  for (size_t i = 0; i < byte_count; i += 64) __builtin_prefetch((const char *)base + i);
}

static size_t round_up(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

size_t fovea_padded_value_dimension(size_t value_dimension) { return round_up(value_dimension, 16); }

// 32-bit lanes that one row of the head dimension, or of keys, takes.
static size_t depth_steps(fovea_tile tile, size_t dimension) {
  return tile == FOVEA_TILE_BFLOAT16 ? (dimension + 1) / 2 : dimension;
}

// Operands are of float32 at most; a step has at most 32 elements, and there is one step more.
static size_t packed_depth(size_t depth) { return round_up(depth, 32) + 32; }

size_t fovea_linear_panel_byte_count(size_t column_count, size_t depth) {
  return column_count * packed_depth(depth) * 4;
}

size_t fovea_packed_rows_byte_count(size_t row_count, size_t depth) {
  return round_up(row_count, FOVEA_ROW_BLOCK) * packed_depth(depth) * 4;
}

size_t fovea_packed_query_byte_count(fovea_tile tile, size_t row_count, size_t dimension) {
  return round_up(row_count * depth_steps(tile, dimension) * 4, 64);
}

size_t fovea_packed_key_byte_count(fovea_tile tile, size_t dimension) {
  return round_up(depth_steps(tile, dimension) * FOVEA_KEY_BLOCK * 4, 64);
}

size_t fovea_packed_value_byte_count(fovea_tile tile, size_t value_dimension) {
  // Whole panels: the widest is 64 columns.
  return depth_steps(tile, FOVEA_KEY_BLOCK) * round_up(value_dimension, 64) * 4;
}

size_t fovea_attention_scratch_byte_count(fovea_tile tile, size_t value_dimension) {
  // Scores of one step of rows, and one block of values with hidden keys cut out.
  return FOVEA_ROW_STEP * FOVEA_KEY_BLOCK * 8 + fovea_packed_value_byte_count(tile, value_dimension);
}
