#include "model/gemm.h"

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "model/aligned_vector.h"
#include "model/int8_matrix.h"
#include "model/precision_kernels.h"

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

memory::desc RowMajor(size_t rows, size_t columns,
                      memory::data_type type = memory::data_type::f32) {
  return memory::desc(
      {static_cast<memory::dim>(rows), static_cast<memory::dim>(columns)}, type,
      memory::format_tag::ab);
}

memory::data_type TypeOf(Precision precision) {
  return precision == Precision::kBf16 ? memory::data_type::bf16
                                       : memory::data_type::f32;
}

bool HasInstructions(dnnl_cpu_isa_t wanted) {
  return (dnnl_get_effective_cpu_isa() & wanted) == wanted;
}

}  // namespace

struct PackedMatrix::Primitive {
  dnnl::matmul::primitive_desc description;
  dnnl::matmul matmul;
  memory packed_weights;
};

bool ProcessorHas(Precision precision) {
  switch (precision) {
    case Precision::kBf16:
      return HasInstructions(dnnl_cpu_isa_avx512_core_bf16);
    case Precision::kInt8:
      return HasInstructions(dnnl_cpu_isa_avx512_core_vnni);
    default:
      return true;
  }
}

PackedMatrix::PackedMatrix(std::string name, size_t out, size_t in,
                           Output output, Precision precision)
    : name_(std::move(name)),
      out_(out),
      in_(in),
      output_(output),
      precision_(precision) {}

PackedMatrix::~PackedMatrix() = default;

namespace {

// How a product ends: added to y where it can be.
dnnl::primitive_attr Attributes(PackedMatrix::Output output) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (output == PackedMatrix::Output::kAccumulate) {
    dnnl::post_ops post_ops;
    post_ops.append_sum(1.0f);
    attributes.set_post_ops(post_ops);
  }
  return attributes;
}

// Weights in whatever order a primitive wants.
memory Pack(memory& source, const memory::desc& wanted) {
  memory packed(wanted, CpuEngine());
  dnnl::stream stream(CpuEngine());
  dnnl::reorder(source, packed).execute(stream, source, packed);
  stream.wait();
  return packed;
}

}  // namespace

absl::StatusOr<std::unique_ptr<const PackedMatrix>> PackedMatrix::Create(
    std::string name, absl::Span<const float> weights, size_t out, size_t in,
    Output output, Precision precision) {
  UseOneOpenMpThread();
  auto matrix = absl::WrapUnique(
      new PackedMatrix(std::move(name), out, in, output, precision));
  if (precision == Precision::kInt8) {
    matrix->int8_ = std::make_unique<const Int8Matrix>(weights, out, in);
    return matrix;
  }
  const memory::dim k = static_cast<memory::dim>(in);
  const memory::dim n = static_cast<memory::dim>(out);
  const memory::data_type type = TypeOf(precision);
  // oneDNN's weights are [in, out]; ours are [out, in]: a transposed view.
  const memory::desc plain({k, n}, memory::data_type::f32,
                           memory::format_tag::ba);
  const memory::desc any({k, n}, type, memory::format_tag::any);
  try {
    memory source(plain, CpuEngine(), const_cast<float*>(weights.data()));
    const dnnl::primitive_attr attributes = Attributes(output);
    for (size_t rows : kTileSizes) {
      dnnl::matmul::primitive_desc description(
          dnnl::matmul::desc(RowMajor(rows, in, type), any,
                             RowMajor(rows, out)),
          attributes, CpuEngine());
      memory packed;
      // Tile sizes that want the same packing share it.
      for (const auto& earlier : matrix->primitives_) {
        if (earlier->packed_weights.get_desc() == description.weights_desc()) {
          packed = earlier->packed_weights;
        }
      }
      if (!packed) packed = Pack(source, description.weights_desc());
      matrix->primitives_.push_back(absl::WrapUnique(
          new Primitive{description, dnnl::matmul(description), packed}));
    }
  } catch (const dnnl::error& error) {
    return absl::InternalError(absl::StrCat(
        "oneDNN cannot multiply by ", matrix->name_, " [", out, ", ", in,
        "] in ", PrecisionName(precision), ": ", error.what()));
  }
  return matrix;
}

struct GemmScratch::Impl {
  // The objects of one call; x, y and the scratchpad are rebound or fixed.
  struct Call {
    memory x, y, scratchpad;
    std::vector<dnnl_exec_arg_t> arguments;
    dnnl_primitive_t primitive;
  };

  dnnl::stream stream{CpuEngine()};
  AlignedVector<unsigned char> scratchpad;
  // A tile's rows in the matrix's precision, and what 8 bits need beside.
  AlignedVector<unsigned char> converted;
  float row_scales[kTileSizes.back()];
  std::unordered_map<const PackedMatrix*, std::vector<Call>> calls;

  // Whether oneDNN did what it was told.
  bool Execute(Call& call, const void* x, float* y);
  void ExecuteInt8(const PackedMatrix& matrix, size_t rows, const float* x,
                   float* y);
};

GemmScratch::GemmScratch(absl::Span<const PackedMatrix* const> matrices,
                         const TileChoice& tiles)
    : tiles_(tiles), impl_(std::make_unique<Impl>()) {
  size_t scratchpad_bytes = 64, converted_bytes = 0;
  for (const PackedMatrix* matrix : matrices) {
    const size_t rows = kTileSizes.back();
    if (matrix->precision_ != Precision::kF32) {
      converted_bytes =
          std::max(converted_bytes, rows * matrix->in_ * sizeof(uint16_t));
    }
    for (const auto& primitive : matrix->primitives_) {
      scratchpad_bytes =
          std::max(scratchpad_bytes,
                   primitive->description.scratchpad_desc().get_size());
    }
  }
  impl_->scratchpad.resize(scratchpad_bytes);
  impl_->converted.resize(converted_bytes);
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
      call.arguments = {{DNNL_ARG_SRC, call.x.get()},
                        {DNNL_ARG_WEIGHTS, primitive->packed_weights.get()},
                        {DNNL_ARG_DST, call.y.get()},
                        {DNNL_ARG_SCRATCHPAD, call.scratchpad.get()}};
      call.primitive = primitive->matmul.get();
    }
  }
}

GemmScratch::~GemmScratch() = default;

bool GemmScratch::Impl::Execute(Call& call, const void* x, float* y) {
  // Row-major tiles have no padding, so binding a pointer touches no data.
  return dnnl_memory_set_data_handle(call.x.get(), const_cast<void*>(x)) ==
             dnnl_success &&
         dnnl_memory_set_data_handle(call.y.get(), y) == dnnl_success &&
         dnnl_primitive_execute(call.primitive, stream.get(),
                                static_cast<int>(call.arguments.size()),
                                call.arguments.data()) == dnnl_success;
}

void GemmScratch::Impl::ExecuteInt8(const PackedMatrix& matrix, size_t rows,
                                    const float* x, float* y) {
  kernels::QuantizeRows(x, rows, matrix.in(), converted.data(), row_scales);
  const auto multiply = matrix.output_ == PackedMatrix::Output::kAccumulate
                            ? kernels::MultiplyAddInt8
                            : kernels::MultiplyInt8;
  multiply(matrix.int8_->weights(), converted.data(), row_scales, rows, y);
}

void GemmScratch::Run(const PackedMatrix& matrix, size_t rows, const float* x,
                      float* y) {
  if (matrix.precision_ == Precision::kInt8) {
    return impl_->ExecuteInt8(matrix, rows, x, y);
  }
  UseOneOpenMpThread();
  Impl::Call& call = impl_->calls.find(&matrix)->second[tiles_.IndexFor(rows)];
  const void* operand = x;
  if (matrix.precision_ == Precision::kBf16) {
    auto* converted = reinterpret_cast<uint16_t*>(impl_->converted.data());
    kernels::ToBf16(x, TileRows(rows) * matrix.in(), converted);
    operand = converted;
  }
  if (impl_->Execute(call, operand, y)) return;
  std::fill_n(y, TileRows(rows) * matrix.out(),
              std::numeric_limits<float>::quiet_NaN());
}

std::string GemmNumericsTag() {
  const dnnl_version_t* version = dnnl_version();
  return absl::StrFormat("dnnl%d.%d.%d-%#x", version->major, version->minor,
                         version->patch,
                         static_cast<int>(dnnl_get_effective_cpu_isa()));
}

}  // namespace qlarank
