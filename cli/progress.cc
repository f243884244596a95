#include "cli/progress.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace qlarank {
namespace {

constexpr absl::Duration kRedraw = absl::Milliseconds(100);
constexpr absl::Duration kLine = absl::Seconds(5);
constexpr int kBarWidth = 28;

std::string Bar(double fraction) {
  int filled = static_cast<int>(fraction * kBarWidth);
  return absl::StrCat("[", std::string(filled, '#'),
                      std::string(kBarWidth - filled, '.'), "]");
}

// 75 s as "1:15".
std::string Clock(absl::Duration duration) {
  int64_t seconds = absl::ToInt64Seconds(duration);
  return absl::StrFormat("%d:%02d", seconds / 60, seconds % 60);
}

}  // namespace

std::string WithCommas(uint64_t number) {
  std::string digits = absl::StrCat(number);
  for (int i = static_cast<int>(digits.size()) - 3; i > 0; i -= 3) {
    digits.insert(static_cast<size_t>(i), ",");
  }
  return digits;
}

Progress::Progress(std::ostream& out, Options options)
    : out_(out),
      options_(std::move(options)),
      start_(options_.clock()),
      next_print_(start_ + (options_.terminal ? kRedraw : kLine)) {}

void Progress::Update(std::optional<double> fraction, uint64_t count) {
  absl::Time now = options_.clock();
  if (now < next_print_) return;
  next_print_ = now + (options_.terminal ? kRedraw : kLine);
  std::string line = Line(fraction, count, now - start_);
  if (options_.terminal) {
    out_ << "\r\x1b[K" << line << std::flush;
    drawn_ = true;
  } else {
    out_ << line << std::endl;
  }
}

void Progress::Clear() {
  if (drawn_) out_ << "\r\x1b[K" << std::flush;
  drawn_ = false;
}

std::string Progress::Line(std::optional<double> fraction, uint64_t count,
                           absl::Duration elapsed) const {
  std::string line = options_.label + " ";
  double done = std::clamp(fraction.value_or(0), 0.0, 1.0);
  if (fraction.has_value()) {
    if (options_.terminal) absl::StrAppend(&line, Bar(done), " ");
    absl::StrAppendFormat(&line, "%3.0f%%  ", 100 * done);
  }
  double seconds = std::max(1e-9, absl::ToDoubleSeconds(elapsed));
  absl::StrAppend(&line, WithCommas(count), " ", options_.unit, "  ",
                  WithCommas(static_cast<uint64_t>(count / seconds)), "/s");
  if (done > 0) {
    absl::StrAppend(&line, "  ETA ", Clock(elapsed * ((1 - done) / done)));
  }
  return line;
}

}  // namespace qlarank
