#include "model/memory_facts.h"

#include <algorithm>
#include <bit>
#include <iterator>

#include "model/engine.h"
#include "model/kernels.h"

namespace qlarank {
namespace {

// Entries that are computed side by side: what kernels in double take.
constexpr size_t kBlock = kernels::kHeadPadding;
constexpr size_t kMostHalfLives = MemoryEntry::kMostHalfLives;
constexpr size_t kMostFacts = 4 + 2 * kMostHalfLives;

double SecondsSince(int64_t earlier_s, int64_t later_s) {
  return static_cast<double>(std::max<int64_t>(0, later_s - earlier_s));
}

// How much of its usual interval an item has been away, from 0 to 1.
double Due(const MemoryEntry& entry, double since_s) {
  if (entry.count < 2) return 0;
  const double span =
      static_cast<double>(std::max<int64_t>(1, entry.last_s - entry.first_s));
  const double intervals = since_s * (entry.count - 1.0) / span;
  return intervals / (1 + intervals);
}

// facts [num_facts, kBlock], in the order of docs/model.md section 11.
void FactsOf(const MemoryEntry* entries, absl::Span<const double> half_lives_s,
             int64_t as_of_s, float* facts) {
  const size_t num_decays = half_lives_s.size();
  double exponents[kMostHalfLives * kBlock], decays[kMostHalfLives * kBlock];
  double since_s[kBlock];
  for (size_t k = 0; k < kBlock; ++k) {
    since_s[k] = SecondsSince(entries[k].last_s, as_of_s);
    for (size_t h = 0; h < num_decays; ++h) {
      exponents[h * kBlock + k] =
          -std::min(kLn2 * (since_s[k] / half_lives_s[h]), kMostExponent);
    }
  }
  kernels::ExpAll(exponents, num_decays * kBlock, decays);

  // Logarithms of 1 + count, decayed counts, and age.
  double terms[(2 + kMostHalfLives) * kBlock], logs[std::size(terms)];
  for (size_t k = 0; k < kBlock; ++k) {
    terms[k] = 1 + static_cast<double>(entries[k].count);
    for (size_t h = 0; h < num_decays; ++h) {
      terms[(1 + h) * kBlock + k] =
          1 +
          static_cast<double>(entries[k].decayed[h]) * decays[h * kBlock + k];
    }
    terms[(1 + num_decays) * kBlock + k] =
        1 + SecondsSince(entries[k].first_s, as_of_s);
  }
  kernels::LogAll(terms, (2 + num_decays) * kBlock, logs);

  for (size_t k = 0; k < kBlock; ++k) {
    float* fact = facts + k;
    const auto add = [&](double value) {
      *fact = static_cast<float>(value);
      fact += kBlock;
    };
    add(1);
    for (size_t i = 0; i < 1 + num_decays; ++i) add(logs[i * kBlock + k]);
    for (size_t h = 0; h < num_decays; ++h) add(decays[h * kBlock + k]);
    add(logs[(1 + num_decays) * kBlock + k] / 16);
    add(Due(entries[k], since_s[k]));
  }
}

}  // namespace

MemoryFacts::MemoryFacts(const ItemMemory& model, const StateBlock& memory,
                         int64_t as_of_s, absl::Span<const float> head) {
  if (model.entries() == 0) return;
  const size_t num_facts = model.num_facts();
  const size_t num_tasks = head.size() / num_facts;
  record_floats_ = num_facts + num_tasks;
  // The same for every user.
  records_.resize(model.entries() * record_floats_);
  places_.resize(std::bit_ceil(2 * model.entries()));
  shift_ = 32 - std::countr_zero(places_.size());
  for (size_t first = 0; first < model.entries(); first += kBlock) {
    MemoryEntry entries[kBlock];
    for (size_t k = 0; k < kBlock; ++k) {
      entries[k] = model.Get(memory, first + k);
    }
    if (entries[0].row == 0) break;
    float facts[kMostFacts * kBlock];
    FactsOf(entries, model.half_lives_s(), as_of_s, facts);
    const auto write = [&](size_t column, const float* values) {
      for (size_t k = 0; k < kBlock; ++k) {
        records_[(first + k) * record_floats_ + column] = values[k];
      }
    };
    for (size_t j = 0; j < num_facts; ++j) write(j, facts + j * kBlock);
    for (size_t task = 0; task < num_tasks; ++task) {
      float logits[kBlock] = {};
      kernels::AddScaledRows(head.data() + task * num_facts, facts, num_facts,
                             kBlock, logits);
      write(num_facts + task, logits);
    }
    for (size_t k = 0; k < kBlock && entries[k].row != 0; ++k) {
      Insert(entries[k].row, first + k);
    }
  }
}

void MemoryFacts::Insert(uint32_t item_row, size_t slot) {
  size_t place = Home(item_row);
  while (places_[place].row != 0) place = Next(place);
  places_[place] = {item_row, static_cast<uint32_t>(slot)};
}

bool MemoryFacts::finite() const { return AllFinite(records_); }

size_t MemoryFacts::size_bytes() const {
  return places_.capacity() * sizeof(Place) +
         records_.capacity() * sizeof(float);
}

}  // namespace qlarank
