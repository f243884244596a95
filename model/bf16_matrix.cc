#include "model/bf16_matrix.h"

#include <omp.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "model/aligned_vector.h"

namespace qlarank {
namespace {

using dnnl::memory;

// A run-time number of rows falls off oneDNN's fast path, so a primitive has a
// fixed one: the fastest, and one for what is left, few enough to be filled up.
constexpr size_t kLargeBlock = 64;
constexpr size_t kSmallBlock = 16;

const dnnl::engine& CpuEngine() {
  static const auto* const engine =
      new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *engine;
}

// A product is one thread's work: parallelism is over tiles. OpenMP keeps its
// thread count per calling thread.
void UseOneOpenMpThread() {
  thread_local const bool done = [] {
    omp_set_num_threads(1);
    return true;
  }();
  (void)done;
}

memory::desc RowMajor(size_t rows, size_t columns, memory::data_type type) {
  return memory::desc(
      {static_cast<memory::dim>(rows), static_cast<memory::dim>(columns)}, type,
      memory::format_tag::ab);
}

// How a product ends: added to y where it is to be.
dnnl::primitive_attr Attributes(bool adds) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (adds) {
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

struct Bf16Matrix::Primitive {
  dnnl::matmul::primitive_desc description;
  dnnl::matmul matmul;
  memory packed_weights;
};

Bf16Matrix::Bf16Matrix(size_t out, size_t in, bool adds)
    : out_(out), in_(in), adds_(adds) {}

Bf16Matrix::~Bf16Matrix() = default;

absl::StatusOr<std::unique_ptr<const Bf16Matrix>> Bf16Matrix::Create(
    std::string name, absl::Span<const float> weights, size_t out, size_t in,
    bool adds) {
  UseOneOpenMpThread();
  auto matrix = absl::WrapUnique(new Bf16Matrix(out, in, adds));
  const memory::dim k = static_cast<memory::dim>(in);
  const memory::dim n = static_cast<memory::dim>(out);
  // oneDNN's weights are [in, out]; ours are [out, in]: a transposed view.
  const memory::desc plain({k, n}, memory::data_type::f32,
                           memory::format_tag::ba);
  const memory::desc any({k, n}, memory::data_type::bf16,
                         memory::format_tag::any);
  const auto make = [&](size_t rows) {
    memory source(plain, CpuEngine(), const_cast<float*>(weights.data()));
    dnnl::matmul::primitive_desc description(
        dnnl::matmul::desc(RowMajor(rows, in, memory::data_type::bf16), any,
                           RowMajor(rows, out, memory::data_type::f32)),
        Attributes(adds), CpuEngine());
    return std::make_unique<Primitive>(
        Primitive{description, dnnl::matmul(description),
                  Pack(source, description.weights_desc())});
  };
  try {
    matrix->small_ = make(kSmallBlock);
    matrix->large_ = make(kLargeBlock);
  } catch (const dnnl::error& error) {
    return absl::InternalError(absl::StrCat("oneDNN cannot multiply by ", name,
                                            " [", out, ", ", in,
                                            "] in bf16: ", error.what()));
  }
  // A row's bits must not depend on how many there are: tried out, because
  // oneDNN does not promise it.
  if (!matrix->BlocksAgree()) matrix->large_.reset();
  return matrix;
}

struct Bf16Matrix::Call::Impl {
  // A primitive's arguments; x and y are bound to each call's.
  struct Execution {
    Execution(const Primitive& of, void* scratchpad_bytes)
        : primitive(of),
          x(of.description.src_desc(), CpuEngine(), nullptr),
          y(of.description.dst_desc(), CpuEngine(), nullptr),
          scratchpad(of.description.scratchpad_desc(), CpuEngine(),
                     scratchpad_bytes),
          arguments{{DNNL_ARG_SRC, x.get()},
                    {DNNL_ARG_WEIGHTS, of.packed_weights.get()},
                    {DNNL_ARG_DST, y.get()},
                    {DNNL_ARG_SCRATCHPAD, scratchpad.get()}} {}

    const Primitive& primitive;
    memory x, y, scratchpad;
    std::vector<dnnl_exec_arg_t> arguments;
  };

  explicit Impl(const Bf16Matrix& of)
      : matrix(of),
        last_x(kSmallBlock * of.in_),
        last_y(kSmallBlock * of.out_) {
    size_t bytes = 64;
    for (const Primitive* primitive : {of.small_.get(), of.large_.get()}) {
      if (primitive == nullptr) continue;
      bytes =
          std::max(bytes, primitive->description.scratchpad_desc().get_size());
    }
    scratchpad.resize(bytes);
    small.emplace(*of.small_, scratchpad.data());
    if (of.large_ != nullptr) large.emplace(*of.large_, scratchpad.data());
  }

  // Whether oneDNN did what it was told, with as many rows as a block has.
  bool Execute(Execution& execution, const uint16_t* rows, float* out);

  const Bf16Matrix& matrix;
  dnnl::stream stream{CpuEngine()};
  AlignedVector<unsigned char> scratchpad;
  std::optional<Execution> small, large;
  // The last rows, filled up to kSmallBlock.
  AlignedVector<uint16_t> last_x;
  AlignedVector<float> last_y;
};

Bf16Matrix::Call::Call(const Bf16Matrix& matrix)
    : impl_(std::make_unique<Impl>(matrix)) {}

Bf16Matrix::Call::~Call() = default;

bool Bf16Matrix::Call::Impl::Execute(Execution& execution, const uint16_t* rows,
                                     float* out) {
  // Row-major blocks have no padding, so binding a pointer touches no data.
  return dnnl_memory_set_data_handle(
             execution.x.get(), const_cast<uint16_t*>(rows)) == dnnl_success &&
         dnnl_memory_set_data_handle(execution.y.get(), out) == dnnl_success &&
         dnnl_primitive_execute(execution.primitive.matmul.get(), stream.get(),
                                static_cast<int>(execution.arguments.size()),
                                execution.arguments.data()) == dnnl_success;
}

void Bf16Matrix::Call::Run(size_t rows, const uint16_t* x, float* y) {
  UseOneOpenMpThread();
  const size_t in = impl_->matrix.in_, out = impl_->matrix.out_;
  bool done = true;
  size_t row = 0;
  for (; impl_->large && row + kLargeBlock <= rows; row += kLargeBlock) {
    done = done && impl_->Execute(*impl_->large, x + row * in, y + row * out);
  }
  for (; row + kSmallBlock <= rows; row += kSmallBlock) {
    done = done && impl_->Execute(*impl_->small, x + row * in, y + row * out);
  }
  if (const size_t left = rows - row; left > 0) {
    std::fill(std::copy_n(x + row * in, left * in, impl_->last_x.begin()),
              impl_->last_x.end(), uint16_t{0});
    float* last_y = impl_->last_y.data();
    if (impl_->matrix.adds_) std::copy_n(y + row * out, left * out, last_y);
    done = done && impl_->Execute(*impl_->small, impl_->last_x.data(), last_y);
    std::copy_n(last_y, left * out, y + row * out);
  }
  if (done) return;
  std::fill_n(y, rows * out, std::numeric_limits<float>::quiet_NaN());
}

bool Bf16Matrix::BlocksAgree() const {
  std::mt19937 random(1);
  AlignedVector<uint16_t> x(kLargeBlock * in_);
  // Of magnitudes from 1/4 to 4.
  for (uint16_t& value : x) {
    value = 0x3e80 + random() % 0x0200 + (random() & 0x8000);
  }
  AlignedVector<float> together(kLargeBlock * out_, 0.5f);
  AlignedVector<float> apart = together;
  Call call(*this);
  call.Run(kLargeBlock, x.data(), together.data());
  for (size_t row = 0; row < kLargeBlock; row += kSmallBlock) {
    call.Run(kSmallBlock, x.data() + row * in_, apart.data() + row * out_);
  }
  return std::memcmp(together.data(), apart.data(),
                     apart.size() * sizeof(float)) == 0;
}

}  // namespace qlarank
