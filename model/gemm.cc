#include "model/gemm.h"

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "model/aligned_vector.h"
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

memory::data_type WeightType(Precision precision) {
  switch (precision) {
    case Precision::kBf16:
      return memory::data_type::bf16;
    case Precision::kInt8:
      return memory::data_type::s8;
    default:
      return memory::data_type::f32;
  }
}

memory::data_type RowType(Precision precision) {
  return precision == Precision::kInt8 ? memory::data_type::u8
                                       : WeightType(precision);
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

// How a product ends: scaled by output channel where the weights are 8 bits
// (by row as well, but that is GemmScratch's), added to y where it can be.
dnnl::primitive_attr Attributes(Precision precision,
                                PackedMatrix::Output output,
                                const std::vector<float>& channel_scales) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (precision == Precision::kInt8) {
    attributes.set_output_scales(/*mask=*/1 << 1, channel_scales);
  } else if (output == PackedMatrix::Output::kAccumulate) {
    dnnl::post_ops post_ops;
    post_ops.append_sum(1.0f);
    attributes.set_post_ops(post_ops);
  }
  return attributes;
}

// Weights in 8 bits: a row, an output channel, has one scale.
struct QuantizedWeights {
  std::vector<int8_t> values;  // [out, in]
  std::vector<float> scales;   // [out]
  // What to add to a channel's sum, because 0 is kQuantizedZero in the rows
  // that it multiplies: [out].
  std::vector<int32_t> zero_share;
};

QuantizedWeights Quantize(absl::Span<const float> weights, size_t out,
                          size_t in) {
  QuantizedWeights quantized{std::vector<int8_t>(out * in),
                             std::vector<float>(out),
                             std::vector<int32_t>(out)};
  std::vector<uint8_t> shifted(out * in);
  kernels::QuantizeRows(weights.data(), out, in, shifted.data(),
                        quantized.scales.data());
  for (size_t i = 0; i < shifted.size(); ++i) {
    quantized.values[i] =
        static_cast<int8_t>(shifted[i] - kernels::kQuantizedZero);
    quantized.zero_share[i / in] -=
        kernels::kQuantizedZero * quantized.values[i];
  }
  return quantized;
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
  const bool is_int8 = precision == Precision::kInt8;
  const QuantizedWeights quantized =
      is_int8 ? Quantize(weights, out, in) : QuantizedWeights();
  const memory::dim k = static_cast<memory::dim>(in);
  const memory::dim n = static_cast<memory::dim>(out);
  const memory::data_type type = WeightType(precision);
  // oneDNN's weights are [in, out]; ours are [out, in]: a transposed view.
  const memory::desc plain({k, n}, is_int8 ? type : memory::data_type::f32,
                           memory::format_tag::ba);
  const memory::desc any({k, n}, type, memory::format_tag::any);
  try {
    memory source(plain, CpuEngine(),
                  is_int8
                      ? const_cast<int8_t*>(quantized.values.data())
                      : static_cast<void*>(const_cast<float*>(weights.data())));
    const dnnl::primitive_attr attributes =
        Attributes(precision, output, quantized.scales);
    const memory::desc bias({1, n}, memory::data_type::s32,
                            memory::format_tag::ab);
    if (is_int8) {
      matrix->zero_share_ = quantized.zero_share;
    }
    for (size_t rows : kTileSizes) {
      dnnl::matmul::primitive_desc description(
          is_int8 ? dnnl::matmul::desc(RowMajor(rows, in, RowType(precision)),
                                       any, bias, RowMajor(rows, out))
                  : dnnl::matmul::desc(RowMajor(rows, in, type), any,
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
    memory x, y, bias, scratchpad;
    std::vector<dnnl_exec_arg_t> arguments;
    dnnl_primitive_t primitive;
  };

  dnnl::stream stream{CpuEngine()};
  AlignedVector<unsigned char> scratchpad;
  // A tile's rows in the matrix's precision, and what 8 bits need beside.
  AlignedVector<unsigned char> converted;
  AlignedVector<float> product;  // before it is added to y
  AlignedVector<float> row_scales{AlignedVector<float>(kTileSizes.back())};
  std::unordered_map<const PackedMatrix*, std::vector<Call>> calls;

  void Execute(Call& call, const void* x, float* y);
};

GemmScratch::GemmScratch(absl::Span<const PackedMatrix* const> matrices,
                         const TileChoice& tiles)
    : tiles_(tiles), impl_(std::make_unique<Impl>()) {
  size_t scratchpad_bytes = 64, converted_bytes = 0, product_floats = 0;
  for (const PackedMatrix* matrix : matrices) {
    const size_t rows = kTileSizes.back();
    if (matrix->precision_ != Precision::kF32) {
      converted_bytes =
          std::max(converted_bytes, rows * matrix->in_ * sizeof(uint16_t));
    }
    if (matrix->precision_ == Precision::kInt8) {
      product_floats = std::max(product_floats, rows * matrix->out_);
    }
    for (const auto& primitive : matrix->primitives_) {
      scratchpad_bytes =
          std::max(scratchpad_bytes,
                   primitive->description.scratchpad_desc().get_size());
    }
  }
  impl_->scratchpad.resize(scratchpad_bytes);
  impl_->converted.resize(converted_bytes);
  impl_->product.resize(product_floats);
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
      if (!matrix->zero_share_.empty()) {
        call.bias = memory(description.bias_desc(), CpuEngine(),
                           const_cast<int32_t*>(matrix->zero_share_.data()));
        call.arguments.push_back({DNNL_ARG_BIAS, call.bias.get()});
      }
      call.primitive = primitive->matmul.get();
    }
  }
}

GemmScratch::~GemmScratch() = default;

void GemmScratch::Impl::Execute(Call& call, const void* x, float* y) {
  // Row-major tiles have no padding, so binding a pointer touches no data.
  dnnl_memory_set_data_handle(call.x.get(), const_cast<void*>(x));
  dnnl_memory_set_data_handle(call.y.get(), y);
  dnnl_primitive_execute(call.primitive, stream.get(),
                         static_cast<int>(call.arguments.size()),
                         call.arguments.data());
}

const float* GemmScratch::RunUnscaled(const PackedMatrix& matrix, size_t rows,
                                      const float* x, float* y) {
  UseOneOpenMpThread();
  Impl::Call& call = impl_->calls.find(&matrix)->second[tiles_.IndexFor(rows)];
  const size_t tile_rows = TileRows(rows);
  unsigned char* converted = impl_->converted.data();
  switch (matrix.precision_) {
    case Precision::kBf16:
      kernels::ToBf16(x, tile_rows * matrix.in(),
                      reinterpret_cast<uint16_t*>(converted));
      impl_->Execute(call, converted, y);
      return nullptr;
    case Precision::kInt8:
      kernels::QuantizeRows(x, tile_rows, matrix.in(), converted,
                            impl_->row_scales.data());
      impl_->Execute(call, converted, y);
      return impl_->row_scales.data();
    default:
      impl_->Execute(call, x, y);
      return nullptr;
  }
}

void GemmScratch::Run(const PackedMatrix& matrix, size_t rows, const float* x,
                      float* y) {
  // oneDNN adds to y by itself, but for 8 bits.
  const bool adds = matrix.precision_ == Precision::kInt8 &&
                    matrix.output_ == PackedMatrix::Output::kAccumulate;
  float* product = adds ? impl_->product.data() : y;
  const float* scales = RunUnscaled(matrix, rows, x, product);
  if (adds) {
    kernels::AddScaledRows(scales, product, TileRows(rows), matrix.out(), y);
  } else if (scales != nullptr) {
    kernels::ScaleRows(scales, TileRows(rows), matrix.out(), y);
  }
}

std::string GemmNumericsTag() {
  const dnnl_version_t* version = dnnl_version();
  return absl::StrFormat("dnnl%d.%d.%d-%#x", version->major, version->minor,
                         version->patch,
                         static_cast<int>(dnnl_get_effective_cpu_isa()));
}

}  // namespace qlarank
