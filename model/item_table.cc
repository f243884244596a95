#include "model/item_table.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/memory/memory.h"
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

absl::StatusOr<std::unique_ptr<ItemTable>> ItemTable::Create(
    const Bundle& bundle, const Layer* first, const Options& options,
    ItemEmbedding& embedding) {
  const bool bf16 = options.precision != Precision::kF32;
  auto table = absl::WrapUnique(
      new ItemTable(first, embedding, bundle.spec().d_model()));
  const absl::Span<const float> of_bundle = embedding.of_bundle();
  table->known_ = {of_bundle.data(), embedding.added(),
                   embedding.first_added(), nullptr, bf16};
  const bool keeps_shares =
      first != nullptr &&
      ShareBytes(bundle.spec(), bf16) <= options.most_share_bytes;
  if (absl::Status status = table->TakeRoom(options, keeps_shares);
      !status.ok()) {
    return status;
  }
  table->PutTerms(0, of_bundle, bundle.tensor("item_bias"));
  if (bf16) table->PutLower(0, of_bundle);
  if (keeps_shares) table->PutShares(0, of_bundle);
  table->lower_.ExpectSparseReads();
  table->shares_.ExpectSparseReads();
  return table;
}

absl::Status ItemTable::TakeRoom(const Options& options, bool keeps_shares) {
  const size_t rows = embedding_.first_added() + options.most_added_rows;
  terms_ = AllocatePages(rows * sizeof(Terms));
  if (known_.bf16) {
    auto lower =
        PagesIn(options.folder, rows * d_model_ * ValueBytes(true));
    if (!lower.ok()) return lower.status();
    lower_ = *std::move(lower);
    known_.embedding = lower_.data();
    known_.first_added = rows;  // all in one part
  }
  if (keeps_shares) {
    auto shares = PagesIn(options.folder,
                          rows * 4 * d_model_ * ValueBytes(known_.bf16));
    if (!shares.ok()) return shares.status();
    shares_ = *std::move(shares);
    known_.shares = shares_.data();
  }
  return absl::OkStatus();
}

uint64_t ItemTable::ResidentBytes(const model::v1::ModelSpec& spec) {
  return (spec.num_items() + 1) * sizeof(Terms);
}

uint64_t ItemTable::Bytes(const model::v1::ModelSpec& spec,
                          uint64_t most_share_bytes) {
  const uint64_t rows = spec.num_items() + 1;
  const auto shares = [&](bool bf16) {
    const uint64_t bytes = ShareBytes(spec, bf16);
    return bytes <= most_share_bytes ? bytes : 0;
  };
  const uint64_t lower = rows * spec.d_model() * ValueBytes(true);
  return ResidentBytes(spec) +
         std::max(shares(false), lower + shares(true));
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
