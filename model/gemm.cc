#include "model/gemm.h"

#include <omp.h>

#include <algorithm>
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

GemmScratch::GemmScratch(absl::Span<const PackedMatrix* const> matrices,
                         const TileChoice& tiles)
    : tiles_(tiles), impl_(std::make_unique<Impl>()) {
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

void GemmScratch::Run(const PackedMatrix& matrix, size_t rows, const float* x,
                      float* y) {
  UseOneOpenMpThread();
  Impl::Call& call = impl_->calls.find(&matrix)->second[tiles_.IndexFor(rows)];
  // Row-major tiles have no padding, so binding a pointer touches no data.
  dnnl_memory_set_data_handle(call.x.get(), const_cast<float*>(x));
  dnnl_memory_set_data_handle(call.y.get(), y);
  dnnl_primitive_execute(call.primitive, impl_->stream.get(),
                         static_cast<int>(call.arguments.size()),
                         call.arguments.data());
}

namespace {

constexpr size_t kLargest = kTileSizes.back();

// y of kLargest rows computed `rows` at a time.
AlignedVector<float> MultiplyInTiles(const PackedMatrix& matrix, size_t rows,
                                     const AlignedVector<float>& x,
                                     GemmScratch& scratch) {
  // Accumulating matrices start from the same output everywhere.
  AlignedVector<float> y(kLargest * matrix.out(), 0.5f);
  for (size_t row = 0; row < kLargest; row += rows) {
    scratch.Run(matrix, rows, x.data() + row * matrix.in(),
                y.data() + row * matrix.out());
  }
  return y;
}

bool SameBits(const AlignedVector<float>& a, const AlignedVector<float>& b) {
  return std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Whether a row has the same bits at every position of the largest tile.
bool PositionsAgree(const PackedMatrix& matrix, const AlignedVector<float>& x,
                    GemmScratch& scratch) {
  const AlignedVector<float> y = MultiplyInTiles(matrix, kLargest, x, scratch);
  for (size_t shift : {1, 7, 32}) {
    AlignedVector<float> moved = x;
    std::rotate(moved.begin(), moved.begin() + shift * matrix.in(),
                moved.end());
    AlignedVector<float> back =
        MultiplyInTiles(matrix, kLargest, moved, scratch);
    std::rotate(back.begin(), back.end() - shift * matrix.out(), back.end());
    if (!SameBits(back, y)) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<TileChoice> ChooseTiles(
    absl::Span<const PackedMatrix* const> matrices) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::array<bool, kTileSizes.size()> in_use;
  in_use.fill(true);
  GemmScratch scratch(matrices, TileChoice::All());
  for (const PackedMatrix* matrix : matrices) {
    AlignedVector<float> x(kLargest * matrix->in());
    for (float& value : x) value = normal(random);
    if (!PositionsAgree(*matrix, x, scratch)) {
      return absl::InternalError(
          "oneDNN gives a row other bits at another position on this "
          "processor: scores would depend on their neighbours");
    }
    const AlignedVector<float> y =
        MultiplyInTiles(*matrix, kLargest, x, scratch);
    for (size_t i = 0; i < kTileSizes.size(); ++i) {
      in_use[i] =
          in_use[i] &&
          SameBits(MultiplyInTiles(*matrix, kTileSizes[i], x, scratch), y);
    }
  }
  return TileChoice(in_use);
}

std::string GemmNumericsTag() {
  const dnnl_version_t* version = dnnl_version();
  return absl::StrFormat("dnnl%d.%d.%d-%#x", version->major, version->minor,
                         version->patch,
                         static_cast<int>(dnnl_get_effective_cpu_isa()));
}

}  // namespace qlarank
