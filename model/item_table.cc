#include "model/item_table.h"

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "model/matrix.h"
#include "model/precision_kernels.h"

namespace qlarank {
namespace {

constexpr std::align_val_t kHugePage{size_t{2} << 20};

size_t ValueBytes(bool bf16) { return bf16 ? sizeof(uint16_t) : sizeof(float); }

// Writes values as floats, or in bfloat16.
void Write(absl::Span<const float> values, bool bf16, unsigned char* out) {
  if (bf16) {
    kernels::ToBf16(values.data(), values.size(),
                    reinterpret_cast<uint16_t*>(out));
  } else {
    std::memcpy(out, values.data(), values.size() * sizeof(float));
  }
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
    Write(embedding, true, embedding_.get());
    known_.embedding = embedding_.get();
  }
  const size_t share_bytes = 4 * embedding.size() * ValueBytes(known_.bf16);
  if (first != nullptr && share_bytes <= most_share_bytes) {
    MakeShares(embedding, *first);
  }
}

uint64_t ItemTable::MostBytes(uint64_t items_file_bytes,
                              uint64_t most_share_bytes) {
  // Terms are 8 bytes beside 4 d, d at least 8; embeddings in bfloat16 half.
  return items_file_bytes / 4 + items_file_bytes / 2 +
         std::min(4 * items_file_bytes, most_share_bytes);
}

ItemTable::Memory ItemTable::Allocate(size_t bytes) {
  auto* memory = static_cast<unsigned char*>(::operator new(bytes, kHugePage));
  // A hint: without huge pages everything works, slower.
  madvise(memory, bytes, MADV_HUGEPAGE);
  return Memory(memory);
}

void ItemTable::Free::operator()(unsigned char* memory) const {
  ::operator delete(memory, kHugePage);
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
          shares_.get() + row * item_bytes);
  }
  known_.shares = shares_.get();
}

}  // namespace qlarank
