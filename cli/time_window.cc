#include "cli/time_window.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace qlarank {

TimeWindow::TimeWindow(absl::Duration width, size_t max_events)
    : width_us_(absl::ToInt64Microseconds(width)), max_events_(max_events) {}

absl::Status TimeWindow::Add(EventStream::Item item) {
  if (heap_.size() == max_events_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("line ", item.line, ": --sort-within keeps ", max_events_,
                     " events at most, and so many came within its ",
                     width_us_ / 1'000'000, " s: make it shorter"));
  }
  const google::protobuf::Timestamp& time = item.event.event().time();
  const int64_t time_us = time.seconds() * 1'000'000 + time.nanos() / 1'000;
  due_us_ = std::max(due_us_, time_us - width_us_);
  heap_.push_back({time_us, ++arrivals_, std::move(item)});
  std::push_heap(heap_.begin(), heap_.end());
  return absl::OkStatus();
}

std::optional<EventStream::Item> TimeWindow::Next() {
  if (heap_.empty() || heap_.front().time_us > due_us_) return std::nullopt;
  std::pop_heap(heap_.begin(), heap_.end());
  EventStream::Item item = std::move(heap_.back().item);
  heap_.pop_back();
  return item;
}

}  // namespace qlarank
