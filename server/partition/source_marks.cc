#include "server/partition/source_marks.h"

#include <algorithm>
#include <optional>

#include "absl/hash/hash.h"

namespace qlarank {

SourceMarks::~SourceMarks() { gauge_.Decrement(size_.load()); }

SourceMarks::Key SourceMarks::KeyOf(absl::string_view source) {
  return {absl::HashOf(source), absl::HashOf(source, 'm')};
}

absl::Status SourceMarks::Load() {
  return store_.ForEachSourceMark(
      [this](absl::string_view source, const SourceMark& mark) {
        Keep(source, mark.complete_through);
      });
}

uint64_t SourceMarks::CompleteThrough(absl::string_view source) const {
  if (empty()) return 0;
  const Key key = KeyOf(source);
  absl::ReaderMutexLock lock(&mutex_);
  const auto mark = marks_.find(key);
  return mark == marks_.end() ? 0 : mark->second;
}

absl::StatusOr<SourceMark> SourceMarks::Raise(absl::string_view source,
                                              const SourceMark& mark) {
  absl::MutexLock lock(&raise_mutex_);
  absl::StatusOr<SourceMark> known = Get(source);
  if (!known.ok() || known->complete_through > mark.complete_through ||
      *known == mark) {
    return known;
  }
  if (absl::Status status = store_.PutSourceMark(source, mark); !status.ok()) {
    return status;
  }
  Keep(source, mark.complete_through);
  return mark;
}

absl::StatusOr<SourceMark> SourceMarks::Get(absl::string_view source) const {
  absl::StatusOr<std::optional<SourceMark>> mark = store_.GetSourceMark(source);
  if (!mark.ok()) return mark.status();
  return mark->value_or(SourceMark());
}

void SourceMarks::Keep(absl::string_view source, uint64_t complete_through) {
  const Key key = KeyOf(source);
  absl::MutexLock lock(&mutex_);
  const auto [mark, inserted] = marks_.try_emplace(key);
  mark->second = std::max(mark->second, complete_through);
  if (!inserted) return;
  gauge_.Increment();
  size_.store(marks_.size(), std::memory_order_release);
}

}  // namespace qlarank
