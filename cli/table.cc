#include "cli/table.h"

#include <algorithm>
#include <utility>

namespace qlarank {
namespace {

bool IsContinuation(char c) { return (c & 0xC0) == 0x80; }

size_t Width(const std::string& text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return !IsContinuation(c); }));
}

}  // namespace

std::string Shorten(const std::string& text, size_t width) {
  if (Width(text) <= width) return text;
  size_t end = 0;
  for (size_t shown = 0; end < text.size(); ++end) {
    if (!IsContinuation(text[end]) && ++shown == width) break;
  }
  return text.substr(0, end) + "…";
}

void Table::AddRow(std::vector<std::string> cells) {
  rows_.push_back(std::move(cells));
}

void Table::Print(std::ostream& out) const {
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  std::vector<size_t> widths(columns_.size(), 0);
  auto measure = [&](const std::vector<std::string>& row) {
    for (size_t i = 0; i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], Width(row[i]));
    }
  };
  measure(titles);
  for (const auto& row : rows_) measure(row);

  auto print = [&](const std::vector<std::string>& row) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      std::string fill(widths[i] - Width(row[i]), ' ');
      if (i > 0) line += "  ";
      line +=
          columns_[i].align == Align::kRight ? fill + row[i] : row[i] + fill;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << "\n";
  };
  print(titles);
  for (const auto& row : rows_) print(row);
}

}  // namespace qlarank
