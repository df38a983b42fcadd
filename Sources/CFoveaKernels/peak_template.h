// One loop of independent accumulators. Defines `double NAME(size_t step_count)` and needs
//   V, SET(x)             the accumulators' vector type, and how to fill one
//   OPERAND, OPERANDS(x)  the same for the operands, where their type is another
//   MULTIPLY_ADD(a, x, y) one instruction: a + x . y, or those that stand for it
//   OPERATIONS            operations of one instruction
//   REGISTER              the asm constraint of a vector register
//
// 12 chains: two instructions a cycle times a latency of at most six. Each chain is a variable of its own, since an
// array of them was kept in memory by the compiler and showed a third of the peak. Every instruction is pinned by an
// empty asm, so that the compiler can neither fold the chain nor spill it.
#define CHAIN(a)                            \
  a = MULTIPLY_ADD(a, x, y);                \
  __asm__ volatile("" : "+" REGISTER(a));
#ifndef OPERAND
#define OPERAND V
#define OPERANDS(x) SET(x)
#endif

static double NAME(size_t step_count) {
  V a0 = SET(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0, a8 = a0, a9 = a0, a10 = a0, a11 = a0;
  OPERAND x = OPERANDS(0), y = x;
  __asm__ volatile("" : "+" REGISTER(x), "+" REGISTER(y));
  for (size_t step = 0; step < step_count; ++step) {
    CHAIN(a0) CHAIN(a1) CHAIN(a2) CHAIN(a3) CHAIN(a4) CHAIN(a5)
    CHAIN(a6) CHAIN(a7) CHAIN(a8) CHAIN(a9) CHAIN(a10) CHAIN(a11)
  }
  return (double)step_count * 12 * OPERATIONS;
}

#undef CHAIN
#undef NAME
#undef V
#undef SET
#undef OPERAND
#undef OPERANDS
#undef MULTIPLY_ADD
#undef OPERATIONS
