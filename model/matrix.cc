#include "model/matrix.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "model/bf16_matrix.h"
#include "model/int8_matrix.h"
#include "model/kernels.h"
#include "model/precision_kernels.h"

namespace qlarank {
namespace {

using kernels::Ending;

size_t WeightRows(const Matrix::Part& part) {
  return part.columns * (part.ending == Ending::kGate ? 2 : 1);
}

size_t Columns(absl::Span<const Matrix::Part> parts) {
  size_t columns = 0;
  for (const Matrix::Part& part : parts) columns += part.columns;
  return columns;
}

}  // namespace

Matrix::Matrix(size_t in, std::vector<Part> parts)
    : in_(in), parts_(std::move(parts)) {}

Matrix::~Matrix() = default;

size_t Matrix::out() const {
  size_t rows = 0;
  for (const Part& part : parts_) rows += WeightRows(part);
  return rows;
}

absl::StatusOr<std::unique_ptr<const Matrix>> Matrix::Create(
    std::string name, absl::Span<const float> weights, size_t in,
    std::vector<Part> parts, Precision precision) {
  auto matrix = absl::WrapUnique(new Matrix(in, std::move(parts)));
  const size_t out = matrix->out();
  if (precision == Precision::kInt8) {
    const kernels::Int8Kernels* kernels = Int8KernelsOfProcessor();
    if (kernels == nullptr) {
      return absl::InternalError(
          absl::StrCat("nothing here multiplies ", name, " in int8"));
    }
    matrix->int8_ =
        std::make_unique<const Int8Matrix>(weights, out, in, *kernels);
  } else if (precision == Precision::kBf16) {
    const bool adds = matrix->parts_.front().ending == Ending::kAdd;
    auto bf16 = Bf16Matrix::Create(std::move(name), weights, out, in, adds);
    if (!bf16.ok()) return bf16.status();
    matrix->bf16_ = *std::move(bf16);
  } else {
    for (const Part& part : matrix->parts_) {
      const size_t size = WeightRows(part) * in;
      matrix->panels_.push_back(
          kernels::PackPanels(weights.first(size), in, part.ending));
      weights.remove_prefix(size);
    }
  }
  return matrix;
}

void Matrix::Run(size_t rows, const float* x, float* y,
                 MatrixScratch& scratch) const {
  if (panels_.empty()) return RunLower(rows, x, y, scratch);
  RunParts(0, parts_.size(), rows, x, y);
}

void Matrix::RunParts(size_t first, size_t count, size_t rows, const float* x,
                      float* y) const {
  const size_t stride =
      Columns(absl::MakeConstSpan(parts_).subspan(first, count));
  for (size_t i = first; i < first + count; ++i) {
    const auto [columns, ending] = parts_[i];
    kernels::MultiplyWeights({panels_[i].data(), in_, columns, ending}, x, rows,
                             y, stride);
    y += columns;
  }
}

struct MatrixScratch::Bf16Calls {
  std::unordered_map<const Bf16Matrix*, Bf16Matrix::Call> by_matrix;
};

MatrixScratch::MatrixScratch(absl::Span<const Matrix* const> matrices)
    : bf16_calls_(std::make_unique<Bf16Calls>()) {
  constexpr size_t kRows = Matrix::kMostRows;
  size_t converted = 0, sums = 0;
  for (const Matrix* matrix : matrices) {
    if (!matrix->panels_.empty()) continue;
    converted = std::max(converted, kRows * matrix->in_ * sizeof(uint16_t));
    if (matrix->parts_.front().ending == Ending::kGate) {
      sums = std::max(sums, kRows * matrix->out());
    }
    if (matrix->bf16_ == nullptr) continue;
    bf16_calls_->by_matrix.emplace(matrix->bf16_.get(), *matrix->bf16_);
  }
  converted_.resize(converted);
  sums_.resize(sums);
  row_scales_.resize(kRows);
}

MatrixScratch::~MatrixScratch() = default;

void Matrix::RunSums(size_t rows, const float* x, float* y,
                     MatrixScratch& scratch) const {
  if (panels_.empty()) return SumsOfLower(rows, x, y, scratch);
  const size_t stride = out();
  for (size_t i = 0; i < parts_.size(); ++i) {
    const size_t columns = parts_[i].columns;
    kernels::MultiplyWeights(
        {panels_[i].data(), in_, columns, Ending::kStore}, x, rows, y, stride);
    y += columns;
  }
}

void Matrix::SumsOfLower(size_t rows, const float* x, float* sums,
                         MatrixScratch& scratch) const {
  if (int8_ != nullptr) {
    kernels::QuantizeRows(x, rows, in_, int8_->kernels().input_levels,
                          scratch.converted_.data(),
                          scratch.row_scales_.data());
    int8_->Run(scratch.converted_.data(), scratch.row_scales_.data(), rows,
               parts_.front().ending == Ending::kAdd, sums);
  } else {
    auto* converted = reinterpret_cast<uint16_t*>(scratch.converted_.data());
    kernels::ToBf16(x, rows * in_, converted);
    scratch.bf16_calls_->by_matrix.at(bf16_.get()).Run(rows, converted, sums);
  }
}

void Matrix::RunLower(size_t rows, const float* x, float* y,
                      MatrixScratch& scratch) const {
  if (parts_.front().ending == Ending::kGate) {
    float* sums = scratch.sums_.data();
    SumsOfLower(rows, x, sums, scratch);
    return kernels::GatedSilu(sums, rows, parts_.front().columns, y);
  }
  SumsOfLower(rows, x, y, scratch);
  const size_t stride = Columns(parts_);
  for (const Part& part : parts_) {
    if (part.ending == Ending::kSilu) {
      kernels::SiluRows(rows, part.columns, stride, y);
    }
    y += part.columns;
  }
}

}  // namespace qlarank
