#include "bench/gemm_peak.h"

#include <omp.h>

#include <algorithm>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "bench/thread_time.h"

namespace qlarank::bench {
namespace {

using dnnl::memory;

struct Shape {
  memory::dim rows, in, out;
};

constexpr Shape kShapes[] = {
    {64, 128, 512}, {256, 512, 512}, {512, 1024, 1024}, {1024, 2048, 2048}};
constexpr int kRounds = 5;
constexpr absl::Duration kTimePerTurn = absl::Milliseconds(50);

// The types of rows, weights and results.
struct Types {
  memory::data_type rows, weights, result;
};

Types TypesOf(Precision precision) {
  switch (precision) {
    case Precision::kBf16:
      return {memory::data_type::bf16, memory::data_type::bf16,
              memory::data_type::f32};
    case Precision::kInt8:
      return {memory::data_type::u8, memory::data_type::s8,
              memory::data_type::s32};
    default:
      return {memory::data_type::f32, memory::data_type::f32,
              memory::data_type::f32};
  }
}

// Sustained over `duration`.
double OperationsPerSecond(const Shape& shape, const Types& types,
                           absl::Duration duration) {
  const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(cpu);
  const auto row_major = [](memory::dim rows, memory::dim columns,
                            memory::data_type type) {
    return memory::desc({rows, columns}, type, memory::format_tag::ab);
  };
  const dnnl::matmul::primitive_desc description(
      dnnl::matmul::desc(row_major(shape.rows, shape.in, types.rows),
                         memory::desc({shape.in, shape.out}, types.weights,
                                      memory::format_tag::any),
                         row_major(shape.rows, shape.out, types.result)),
      cpu);
  const dnnl::matmul matmul(description);
  // Values are of no matter, but a denormal or NaN might take longer.
  std::vector<float> ones(std::max(shape.rows, shape.out) * shape.in, 1.0f);
  const auto filled = [&](const memory::desc& desc, memory::dim rows,
                          memory::dim columns) {
    memory plain(row_major(rows, columns, memory::data_type::f32), cpu,
                 ones.data());
    memory made(desc, cpu);
    dnnl::reorder(plain, made).execute(stream, plain, made);
    return made;
  };
  memory x = filled(description.src_desc(), shape.rows, shape.in);
  memory weights = filled(description.weights_desc(), shape.in, shape.out);
  memory y(description.dst_desc(), cpu);
  const auto multiply = [&] {
    matmul.execute(
        stream,
        {{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, y}});
  };
  multiply();
  const absl::Duration begin = ThreadTime();
  double products = 0;
  for (; ThreadTime() - begin < duration; ++products) multiply();
  return products * 2.0 * shape.rows * shape.in * shape.out /
         absl::ToDoubleSeconds(ThreadTime() - begin);
}

}  // namespace

const FastestProduct& FastestProduct::Of(Precision precision) {
  static auto* const known = new std::map<Precision, FastestProduct>;
  const auto found = known->find(precision);
  if (found != known->end()) return found->second;
  return known->emplace(precision, FastestProduct(precision)).first->second;
}

FastestProduct::FastestProduct(Precision precision) : precision_(precision) {
  omp_set_num_threads(1);
  // Round by round, so that no shape falls into all of a busy moment.
  for (int round = 0; round < kRounds; ++round) {
    for (size_t shape = 0; shape < std::size(kShapes); ++shape) {
      const double rate =
          OperationsPerSecond(kShapes[shape], TypesOf(precision), kTimePerTurn);
      if (rate <= operations_per_second_) continue;
      operations_per_second_ = rate;
      shape_ = shape;
    }
  }
}

double FastestProduct::MeasureAgain(absl::Duration duration) const {
  return OperationsPerSecond(kShapes[shape_], TypesOf(precision_), duration);
}

}  // namespace qlarank::bench
