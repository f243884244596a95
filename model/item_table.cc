#include "model/item_table.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "model/matrix.h"
#include "model/precision_kernels.h"

namespace qlarank {
namespace {

size_t ValueBytes(bool bf16) { return bf16 ? sizeof(uint16_t) : sizeof(float); }

// Writes values as floats, or in bfloat16.
void Write(absl::Span<const float> values, bool bf16, char* out) {
  if (bf16) {
    kernels::ToBf16(values.data(), values.size(),
                    reinterpret_cast<uint16_t*>(out));
  } else {
    std::memcpy(out, values.data(), values.size() * sizeof(float));
  }
}

// Of all items; none where candidates pass through no layer.
uint64_t ShareBytes(const model::v1::ModelSpec& spec, bool bf16) {
  if (!IsTargetAware(spec)) return 0;
  return (spec.num_items() + 1) * 4 * spec.d_model() * ValueBytes(bf16);
}

// As weights are allocated: nothing is served without.
Pages Allocate(size_t bytes) {
  Pages pages(bytes);
  if (pages.data() == nullptr) throw std::bad_alloc();
  return pages;
}

float InverseNorm(absl::Span<const float> row) {
  double sum = 0;
  for (const float x : row) sum += static_cast<double>(x) * x;
  return static_cast<float>(1.0 / std::max(std::sqrt(sum), 1e-12));
}

}  // namespace

ItemTable::ItemTable(const Bundle& bundle, Precision precision,
                     const Layer* first, size_t most_share_bytes) {
  const size_t d = bundle.spec().d_model();
  const absl::Span<const float> embedding = bundle.tensor("item_embedding");
  const absl::Span<const float> bias = bundle.tensor("item_bias");
  for (size_t row = 0; row < bias.size(); ++row) {
    terms_.push_back({InverseNorm(embedding.subspan(row * d, d)), bias[row]});
  }
  known_ = {embedding.data(), nullptr, precision != Precision::kF32};
  if (known_.bf16) {
    embedding_ = Allocate(embedding.size() * ValueBytes(true));
    Write(embedding, true, embedding_.data());
    known_.embedding = embedding_.data();
  }
  if (first != nullptr &&
      ShareBytes(bundle.spec(), known_.bf16) <= most_share_bytes) {
    MakeShares(embedding, *first);
  }
}

uint64_t ItemTable::Bytes(const model::v1::ModelSpec& spec,
                          uint64_t most_share_bytes) {
  const uint64_t rows = spec.num_items() + 1;
  const auto shares = [&](bool bf16) {
    const uint64_t bytes = ShareBytes(spec, bf16);
    return bytes <= most_share_bytes ? bytes : 0;
  };
  const uint64_t lower = rows * spec.d_model() * ValueBytes(true);
  return rows * sizeof(Terms) + std::max(shares(false), lower + shares(true));
}

void ItemTable::MakeShares(absl::Span<const float> embedding,
                           const Layer& first) {
  const size_t d = first.token_scale().size();
  const size_t item_bytes = 4 * d * ValueBytes(known_.bf16);
  shares_ = Allocate(embedding.size() / d * item_bytes);
  constexpr size_t kBlock = Matrix::kMostRows;
  AlignedVector<float> scaled(kBlock * d), shares(kBlock * 4 * d);
  MatrixScratch nothing({});
  for (size_t row = 0; row * d < embedding.size(); row += kBlock) {
    const auto block = embedding.subspan(row * d, kBlock * d);
    const size_t rows = block.size() / d;
    kernels::ScaleColumns(block.data(), first.token_scale().data(), rows, d,
                          scaled.data());
    first.exact_w_qkvg().RunSums(rows, scaled.data(), shares.data(), nothing);
    Write(absl::MakeConstSpan(shares).first(rows * 4 * d), known_.bf16,
          shares_.data() + row * item_bytes);
  }
  known_.shares = shares_.data();
}

}  // namespace qlarank
