// A plain-text table: columns aligned, numbers to the right.
#ifndef QLARANK_CLI_TABLE_H_
#define QLARANK_CLI_TABLE_H_

#include <ostream>
#include <string>
#include <vector>

namespace qlarank {

enum class Align { kLeft, kRight };

class Table {
 public:
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // REQUIRES: as many cells as columns.
  void AddRow(std::vector<std::string> cells);
  // No trailing blanks; widths count code points, so that UTF-8 titles line up.
  void Print(std::ostream& out) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// At most `width` code points of `text`, the last an ellipsis if it was longer.
std::string Shorten(const std::string& text, size_t width);

}  // namespace qlarank

#endif  // QLARANK_CLI_TABLE_H_
