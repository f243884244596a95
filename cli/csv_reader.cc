#include "cli/csv_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace qlarank {

CsvReader::CsvReader(std::istream& input, std::string name)
    : input_(input), name_(std::move(name)) {
  csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI);
}

CsvReader::~CsvReader() { csv_free(&parser_); }

absl::Status CsvReader::GiveUpLine(absl::string_view problem) {
  csv_free(&parser_);
  csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI);
  return absl::InvalidArgumentError(absl::StrCat(Position(), ": ", problem));
}

std::string CsvReader::Position() const {
  return absl::StrCat(name_, ":", line_);
}

absl::Status CsvReader::ReadHeader() {
  absl::StatusOr<bool> read = ReadRow(header_);
  if (!read.ok()) return read.status();
  if (!*read) {
    return absl::InvalidArgumentError(
        absl::StrCat(name_, ": empty, a header was expected"));
  }
  // Excel's "CSV UTF-8" starts with a byte order mark.
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (header_[0].starts_with(kByteOrderMark)) {
    header_[0].erase(0, kByteOrderMark.size());
  }
  return absl::OkStatus();
}

bool CsvReader::HasColumn(absl::string_view name) const {
  return std::find(header_.begin(), header_.end(), name) != header_.end();
}

absl::StatusOr<size_t> CsvReader::Column(absl::string_view name) const {
  auto found = std::find(header_.begin(), header_.end(), name);
  if (found == header_.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name_, ": no column \"", name, "\" in the header (",
                     absl::StrJoin(header_, ","), ")"));
  }
  return static_cast<size_t>(found - header_.begin());
}

void CsvReader::OnField(void* data, size_t size, void* reader) {
  auto* self = static_cast<CsvReader*>(reader);
  self->second_row_ |= self->row_done_;
  if (self->num_fields_ == self->fields_->size()) self->fields_->emplace_back();
  // Strings of the row before are reused: no allocation per field.
  (*self->fields_)[self->num_fields_++].assign(static_cast<const char*>(data),
                                               size);
}

void CsvReader::OnRow(int /*terminator*/, void* reader) {
  static_cast<CsvReader*>(reader)->row_done_ = true;
}

// Line by line, so that the line number is known; a quoted field may take the
// row over several lines.
absl::StatusOr<bool> CsvReader::ReadRow(std::vector<std::string>& fields) {
  fields_ = &fields;
  num_fields_ = 0;
  row_done_ = false;
  second_row_ = false;
  while (!row_done_ && std::getline(input_, text_)) {
    ++line_;
    bytes_read_ += text_.size() + 1;
    text_.push_back('\n');
    if (csv_parse(&parser_, text_.data(), text_.size(), OnField, OnRow, this) !=
        text_.size()) {
      return GiveUpLine(
          absl::StrCat("not CSV: ", csv_strerror(csv_error(&parser_))));
    }
    // libcsv ends a row there, RFC 4180 does not: two rows would be one line,
    // and taken for one.
    if (second_row_) {
      return GiveUpLine("a carriage return that no line feed follows");
    }
  }
  if (input_.bad()) {
    return absl::UnknownError(absl::StrCat(Position(), ": cannot be read"));
  }
  if (!row_done_ && csv_fini(&parser_, OnField, OnRow, this) != 0) {
    return GiveUpLine("ends inside a quoted field");  // once: the end is next
  }
  fields.resize(num_fields_);
  return row_done_;
}

std::string CsvField(absl::string_view text) {
  std::string field(2 * text.size() + 2, '\0');  // were all of it quotes
  field.resize(csv_write(field.data(), field.size(), text.data(), text.size()));
  return field;
}

}  // namespace qlarank
