#include "model/item_table.h"

#include <algorithm>
#include <cmath>
#include <cstring>

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

// Of as many rows; none where candidates pass through no layer.
uint64_t ShareBytes(const model::v1::ModelSpec& spec, uint64_t rows,
                    bool bf16) {
  if (!IsTargetAware(spec)) return 0;
  return rows * 4 * spec.d_model() * ValueBytes(bf16);
}

uint64_t ShareBytes(const model::v1::ModelSpec& spec, bool bf16) {
  return ShareBytes(spec, spec.num_items() + 1, bf16);
}

float InverseNorm(absl::Span<const float> row) {
  double sum = 0;
  for (const float x : row) sum += static_cast<double>(x) * x;
  return static_cast<float>(1.0 / std::max(std::sqrt(sum), 1e-12));
}

}  // namespace

ItemTable::ItemTable(const Bundle& bundle, Precision precision,
                     const Layer* first, size_t most_share_bytes,
                     size_t most_added_rows, ItemEmbedding& embedding)
    : d_model_(bundle.spec().d_model()), first_(first), embedding_(embedding) {
  const absl::Span<const float> of_bundle = embedding.of_bundle();
  const size_t rows = embedding.first_added() + most_added_rows;
  known_ = {of_bundle.data(), embedding.added(), embedding.first_added(),
            nullptr, precision != Precision::kF32};
  terms_ = AllocatePages(rows * sizeof(Terms));
  PutTerms(0, of_bundle, bundle.tensor("item_bias"));
  if (known_.bf16) {
    lower_ = AllocatePages(rows * d_model_ * ValueBytes(true));
    PutLower(0, of_bundle);
    known_.embedding = lower_.data();
    known_.first_added = rows;  // all in one part
  }
  if (first != nullptr &&
      ShareBytes(bundle.spec(), known_.bf16) <= most_share_bytes) {
    shares_ = AllocatePages(rows * 4 * d_model_ * ValueBytes(known_.bf16));
    PutShares(0, of_bundle);
    known_.shares = shares_.data();
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

uint64_t ItemTable::AddedBytes(const model::v1::ModelSpec& spec,
                               uint64_t most_added_rows,
                               uint64_t most_share_bytes) {
  const uint64_t values = most_added_rows * spec.d_model();
  const auto shares = [&](bool bf16) {
    return ShareBytes(spec, bf16) <= most_share_bytes
               ? ShareBytes(spec, most_added_rows, bf16)
               : 0;
  };
  return most_added_rows * sizeof(Terms) + values * ValueBytes(false) +
         std::max(shares(false), values * ValueBytes(true) + shares(true));
}

void ItemTable::Put(uint32_t row, absl::Span<const float> embedding,
                    float bias) {
  embedding_.Put(row, embedding);
  PutTerms(row, embedding, {&bias, 1});
  if (known_.bf16) PutLower(row, embedding);
  if (known_.shares != nullptr) PutShares(row, embedding);
}

void ItemTable::PutTerms(size_t row, absl::Span<const float> embedding,
                         absl::Span<const float> biases) {
  for (size_t i = 0; i < biases.size(); ++i) {
    terms(row + i) = {InverseNorm(embedding.subspan(i * d_model_, d_model_)),
                      biases[i]};
  }
}

void ItemTable::PutLower(size_t row, absl::Span<const float> embedding) {
  Write(embedding, true, lower_.data() + row * d_model_ * ValueBytes(true));
}

void ItemTable::PutShares(size_t row, absl::Span<const float> embedding) {
  const size_t d = d_model_, item_bytes = 4 * d * ValueBytes(known_.bf16);
  constexpr size_t kBlock = Matrix::kMostRows;
  const size_t block_rows = std::min(kBlock, embedding.size() / d);
  AlignedVector<float> scaled(block_rows * d), shares(block_rows * 4 * d);
  MatrixScratch nothing({});
  for (size_t done = 0; done < embedding.size() / d; done += kBlock) {
    const auto block = embedding.subspan(done * d, kBlock * d);
    const size_t rows = block.size() / d;
    kernels::ScaleColumns(block.data(), first_->token_scale().data(), rows, d,
                          scaled.data());
    first_->exact_w_qkvg().RunSums(rows, scaled.data(), shares.data(), nothing);
    Write(absl::MakeConstSpan(shares).first(rows * 4 * d), known_.bf16,
          shares_.data() + (row + done) * item_bytes);
  }
}

}  // namespace qlarank
