// A loop over vectors of sums that stay in registers. Included by the files of
// fma_loops.h, each compiled for its instruction set.
#ifndef QLARANK_BENCH_FMA_LOOP_INL_H_
#define QLARANK_BENCH_FMA_LOOP_INL_H_

#include <cstddef>
#include <cstdint>

namespace qlarank::bench::fma_loops {
namespace {

template <size_t...>
struct Indices {};
template <size_t kCount, size_t... kIndices>
struct MakeIndices : MakeIndices<kCount - 1, kCount - 1, kIndices...> {};
template <size_t... kIndices>
struct MakeIndices<0, kIndices...> {
  using Type = Indices<kIndices...>;
};

// Operation: a struct with the types Operand and Sum, vectors of one width,
// and a static Apply(sum, a, b) in assembler: so that no compiler finds that
// the operands never change, or keeps sums in memory.
template <typename Operation, size_t... kIndices>
inline __attribute__((always_inline)) void Run(
    int64_t steps, const typename Operation::Operand& a,
    const typename Operation::Operand& b, typename Operation::Sum* sums,
    Indices<kIndices...>) {
  typename Operation::Sum kept[] = {sums[kIndices]...};
  for (; steps > 0; --steps) (Operation::Apply(kept[kIndices], a, b), ...);
  ((sums[kIndices] = kept[kIndices]), ...);
}

template <typename Operation, size_t kSums>
inline __attribute__((always_inline)) void Run(int64_t steps, const void* a,
                                               const void* b, void* sums) {
  Run<Operation>(steps, *static_cast<const typename Operation::Operand*>(a),
                 *static_cast<const typename Operation::Operand*>(b),
                 static_cast<typename Operation::Sum*>(sums),
                 typename MakeIndices<kSums>::Type());
}

}  // namespace
}  // namespace qlarank::bench::fma_loops

#endif  // QLARANK_BENCH_FMA_LOOP_INL_H_
