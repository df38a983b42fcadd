// Loops that do nothing but the arithmetic or the reading that limits the kernels, to know a machine's peaks.
//
// Like kernels they allocate nothing and start no threads: a caller runs one loop on each of its threads and divides
// the work by the time.
#ifndef FOVEA_PEAKS_H
#define FOVEA_PEAKS_H

#include "fovea_kernels.h"

// What a loop computes. A multiply-add counts as two operations.
typedef enum {
  FOVEA_PEAK_FLOAT32 = 0,   // fused multiply-add of float32
  FOVEA_PEAK_BFLOAT16 = 1,  // dot products of bfloat16 pairs, added to float32
  FOVEA_PEAK_INT8 = 2,      // dot products of four int8, added to int32
  FOVEA_PEAK_INT16 = 3,     // dot products of two int16, added to int32: one instruction, or a product and a sum
} fovea_peak;

// Runs `step_count` steps in registers only and returns the number of operations done.
typedef double (*fovea_peak_loop)(size_t step_count);

// The loop with the widest instruction that `kernels` may use; null where it has none of that kind, or the CPU lacks
// it. The scalar table has none: what the compiler makes of plain loops has no peak to compare with.
fovea_peak_loop fovea_peak_loop_of(const fovea_kernels *kernels, fovea_peak peak);

// Reads `byte_count` bytes, a multiple of 64, from 64-byte aligned memory; returns a value that depends on all of them.
// What comes later is left to the CPU's own prefetchers, or asked for by hints.
uint64_t fovea_read_memory(const void *bytes, size_t byte_count, bool asks_ahead);

#endif
