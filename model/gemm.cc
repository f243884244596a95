#include "model/gemm.h"

#include <omp.h>

#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>
#include <random>
#include <unordered_map>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "model/aligned_vector.h"

namespace qlarank {
namespace {

using dnnl::memory;

const dnnl::engine& CpuEngine() {
  static const auto* const engine =
      new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *engine;
}

// One tile is one thread's work: parallelism is over tiles. OpenMP keeps its
// thread count per calling thread.
void UseOneOpenMpThread() {
  thread_local const bool done = [] {
    omp_set_num_threads(1);
    return true;
  }();
  (void)done;
}

memory::desc RowMajor(size_t rows, size_t columns) {
  return memory::desc(
      {static_cast<memory::dim>(rows), static_cast<memory::dim>(columns)},
      memory::data_type::f32, memory::format_tag::ab);
}

}  // namespace

size_t TileIndexFor(size_t rows) {
  size_t index = 0;
  while (kTileSizes[index] < rows) ++index;
  return index;
}

struct PackedMatrix::Primitive {
  dnnl::matmul::primitive_desc description;
  dnnl::matmul matmul;
  memory packed_weights;
};

PackedMatrix::PackedMatrix(std::string name, size_t out, size_t in)
    : name_(std::move(name)), out_(out), in_(in) {}

PackedMatrix::~PackedMatrix() = default;

absl::StatusOr<std::unique_ptr<const PackedMatrix>> PackedMatrix::Create(
    std::string name, absl::Span<const float> weights, size_t out, size_t in,
    Output output) {
  UseOneOpenMpThread();
  auto matrix = absl::WrapUnique(new PackedMatrix(std::move(name), out, in));
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (output == Output::kAccumulate) {
    dnnl::post_ops post_ops;
    post_ops.append_sum(1.0f);
    attributes.set_post_ops(post_ops);
  }
  const memory::dim k = static_cast<memory::dim>(in);
  const memory::dim n = static_cast<memory::dim>(out);
  // oneDNN's weights are [in, out]; ours are [out, in]: a transposed view.
  const memory::desc plain({k, n}, memory::data_type::f32,
                           memory::format_tag::ba);
  const memory::desc any({k, n}, memory::data_type::f32,
                         memory::format_tag::any);
  try {
    dnnl::stream stream(CpuEngine());
    memory source(plain, CpuEngine(), const_cast<float*>(weights.data()));
    for (size_t rows : kTileSizes) {
      dnnl::matmul::primitive_desc description(
          dnnl::matmul::desc(RowMajor(rows, in), any, RowMajor(rows, out)),
          attributes, CpuEngine());
      memory packed;
      // Tile sizes that want the same packing share it.
      for (const auto& earlier : matrix->primitives_) {
        if (earlier->packed_weights.get_desc() == description.weights_desc()) {
          packed = earlier->packed_weights;
        }
      }
      if (!packed) {
        packed = memory(description.weights_desc(), CpuEngine());
        dnnl::reorder(source, packed).execute(stream, source, packed);
        stream.wait();
      }
      matrix->primitives_.push_back(absl::WrapUnique(
          new Primitive{description, dnnl::matmul(description), packed}));
    }
  } catch (const dnnl::error& error) {
    return absl::InternalError(absl::StrCat("oneDNN cannot multiply by ",
                                            matrix->name_, " [", out, ", ", in,
                                            "]: ", error.what()));
  }
  return matrix;
}

struct GemmScratch::Impl {
  // The objects of one call; x, y and the scratchpad are rebound or fixed.
  struct Call {
    memory x, y, scratchpad;
    std::array<dnnl_exec_arg_t, 4> arguments;
    dnnl_primitive_t primitive;
  };

  dnnl::stream stream{CpuEngine()};
  AlignedVector<unsigned char> scratchpad;
  std::unordered_map<const PackedMatrix*, std::vector<Call>> calls;
};

GemmScratch::GemmScratch(absl::Span<const PackedMatrix* const> matrices)
    : impl_(std::make_unique<Impl>()) {
  size_t scratchpad_bytes = 64;
  for (const PackedMatrix* matrix : matrices) {
    for (const auto& primitive : matrix->primitives_) {
      scratchpad_bytes =
          std::max(scratchpad_bytes,
                   primitive->description.scratchpad_desc().get_size());
    }
  }
  impl_->scratchpad.resize(scratchpad_bytes);
  for (const PackedMatrix* matrix : matrices) {
    std::vector<Impl::Call>& calls = impl_->calls[matrix];
    calls.reserve(matrix->primitives_.size());
    for (const auto& primitive : matrix->primitives_) {
      const auto& description = primitive->description;
      Impl::Call& call = calls.emplace_back();
      call.x = memory(description.src_desc(), CpuEngine(), nullptr);
      call.y = memory(description.dst_desc(), CpuEngine(), nullptr);
      call.scratchpad = memory(description.scratchpad_desc(), CpuEngine(),
                               impl_->scratchpad.data());
      call.arguments = {{{DNNL_ARG_SRC, call.x.get()},
                         {DNNL_ARG_WEIGHTS, primitive->packed_weights.get()},
                         {DNNL_ARG_DST, call.y.get()},
                         {DNNL_ARG_SCRATCHPAD, call.scratchpad.get()}}};
      call.primitive = primitive->matmul.get();
    }
  }
}

GemmScratch::~GemmScratch() = default;

void GemmScratch::Run(const PackedMatrix& matrix, size_t tile_index,
                      const float* x, float* y) {
  UseOneOpenMpThread();
  Impl::Call& call = impl_->calls.find(&matrix)->second[tile_index];
  // Row-major tiles have no padding, so binding a pointer touches no data.
  dnnl_memory_set_data_handle(call.x.get(), const_cast<float*>(x));
  dnnl_memory_set_data_handle(call.y.get(), y);
  dnnl_primitive_execute(call.primitive, impl_->stream.get(),
                         static_cast<int>(call.arguments.size()),
                         call.arguments.data());
}

bool TileSizesAgree(absl::Span<const PackedMatrix* const> matrices) {
  constexpr size_t kRows = kTileSizes.back();
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  GemmScratch scratch(matrices);
  for (const PackedMatrix* matrix : matrices) {
    AlignedVector<float> x(kRows * matrix->in());
    for (float& value : x) value = normal(random);
    // Accumulating matrices start from the same output everywhere.
    const AlignedVector<float> start(kRows * matrix->out(), 0.5f);
    AlignedVector<float> expected = start;
    scratch.Run(*matrix, kTileSizes.size() - 1, x.data(), expected.data());
    for (size_t tile = 0; tile + 1 < kTileSizes.size(); ++tile) {
      AlignedVector<float> y = start;
      for (size_t row = 0; row < kRows; row += kTileSizes[tile]) {
        scratch.Run(*matrix, tile, x.data() + row * matrix->in(),
                    y.data() + row * matrix->out());
      }
      if (std::memcmp(y.data(), expected.data(), y.size() * sizeof(float))) {
        return false;
      }
    }
  }
  return true;
}

std::string GemmNumericsTag() {
  const dnnl_version_t* version = dnnl_version();
  return absl::StrFormat("dnnl%d.%d.%d-%#x", version->major, version->minor,
                         version->patch,
                         static_cast<int>(dnnl_get_effective_cpu_isa()));
}

}  // namespace qlarank
