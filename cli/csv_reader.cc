#include "cli/csv_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "cli/decompressor.h"
#include "cli/shown_text.h"

namespace qlarank {
namespace {

constexpr absl::string_view kNotClosed = "a quote is opened and never closed";
constexpr absl::string_view kStrayQuote =
    "has a quote inside of a field: double it, and put the field in quotes";
constexpr absl::string_view kStrayReturn =
    "has a carriage return that no line feed follows: end lines with line "
    "feeds (tr \"\\r\" \"\\n\")";
// Excel's "CSV UTF-8" starts with one.
constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool IsBlankChar(char c) { return c == ' ' || c == '\t'; }

// Without a table of characters, as find_first_not_of() makes one each time.
absl::string_view WithoutBlanks(absl::string_view field) {
  while (!field.empty() && IsBlankChar(field.front())) field.remove_prefix(1);
  while (!field.empty() && IsBlankChar(field.back())) field.remove_suffix(1);
  return field;
}

bool IsBlank(absl::string_view line) {
  return std::all_of(line.begin(), line.end(),
                     [](char c) { return IsBlankChar(c) || c == '\r'; });
}

size_t Commas(absl::string_view text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), ','));
}

// What a file that begins so is instead of CSV in UTF-8, or "".
std::string OtherFormat(absl::string_view beginning) {
  if (auto packed = Decompressor::For(beginning)) {
    return absl::StrCat("compressed by ", packed->name(),
                        ": give the file by its name, or unpack it");
  }
  if (absl::StartsWith(beginning, "\x28\xB5\x2F\xFD")) {
    return "compressed by zstd: unpack it, or compress it by gzip";
  }
  if (absl::StartsWith(beginning, "PK\x03\x04")) {
    return "a zip archive or a spreadsheet: export it as CSV";
  }
  if (absl::StartsWith(beginning, "\xFF\xFE") ||
      absl::StartsWith(beginning, "\xFE\xFF")) {
    return "UTF-16: write it as UTF-8";
  }
  return "";
}

// A hint when all columns seem to be in one, or "".
std::string SeparatorHint(const std::vector<std::string>& header) {
  for (auto [separator, name] : {std::pair{';', "semicolons"},
                                 std::pair{'\t', "tabs"},
                                 std::pair{'|', "bars"}}) {
    if (header.size() == 1 && absl::StrContains(header[0], separator)) {
      return absl::StrCat(": columns are separated by commas, not by ", name);
    }
  }
  return "";
}

}  // namespace

CsvReader::CsvReader(std::istream& input, std::string name, LastLine last_line)
    : input_(input), name_(std::move(name)), last_line_(last_line) {
  csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI);
}

CsvReader::~CsvReader() { csv_free(&parser_); }

void CsvReader::ResetParser() {
  csv_free(&parser_);
  csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI);
}

std::string CsvReader::Position() const {
  return absl::StrCat(name_, ":", line_);
}

absl::Status CsvReader::ReadHeader() {
  absl::StatusOr<bool> read = ReadRow(header_);
  if (std::string other = OtherFormat(row_text_); !other.empty()) {
    unfinished_line_.reset();  // nobody writes on at such a line
    return absl::InvalidArgumentError(
        absl::StrCat(name_, ": not CSV, but ", other));
  }
  if (read.ok() && !*read) {
    return absl::InvalidArgumentError(
        absl::StrCat(name_, ": empty, a header was expected"));
  }
  return read.ok() ? absl::OkStatus() : read.status();
}

bool CsvReader::HasColumn(absl::string_view name) const {
  return std::find(header_.begin(), header_.end(), name) != header_.end();
}

absl::StatusOr<size_t> CsvReader::Column(
    absl::string_view name, absl::string_view what_names_it) const {
  auto found = std::find(header_.begin(), header_.end(), name);
  const std::string all = absl::StrJoin(
      header_, ",", [](std::string* joined, const std::string& column) {
        joined->append(ShownText(column));
      });
  if (found == header_.end()) {
    std::string hint = SeparatorHint(header_);
    if (hint.empty() && !what_names_it.empty()) {
      hint = absl::StrCat(": ", what_names_it, " says what it is called");
    }
    return absl::InvalidArgumentError(absl::StrCat(
        name_, ": no column \"", name, "\" in the header (", all, ")", hint));
  }
  if (std::find(found + 1, header_.end(), name) != header_.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name_, ": two columns \"", name, "\" in the header (",
                     all, "): give them names of their own"));
  }
  return static_cast<size_t>(found - header_.begin());
}

void CsvReader::AddField(absl::string_view text) {
  if (num_fields_ == fields_->size()) fields_->emplace_back();
  // Strings of the row before are reused: no allocation per field.
  (*fields_)[num_fields_++].assign(text.data(), text.size());
}

void CsvReader::OnField(void* data, size_t size, void* reader) {
  static_cast<CsvReader*>(reader)->AddField(
      {static_cast<const char*>(data), size});
}

void CsvReader::OnRow(int /*terminator*/, void* reader) {
  static_cast<CsvReader*>(reader)->row_done_ = true;
}

bool CsvReader::TakeLine() {
  if (!again_.empty()) {
    lines_.push_back(std::move(again_.front()));
    again_.pop_front();
    return true;
  }
  Line line;
  if (!std::getline(input_, line.text)) return false;
  line.ended = !input_.eof();
  if (next_byte_ == 0 && lines_.empty()) TakeByteOrderMark(line.text);
  lines_.push_back(std::move(line));
  return true;
}

// It counts among the file's bytes, and is no part of its first line.
void CsvReader::TakeByteOrderMark(std::string& first_line) {
  if (!absl::StartsWith(first_line, kByteOrderMark)) return;
  first_line.erase(0, kByteOrderMark.size());
  digest_.Add(kByteOrderMark);
  next_byte_ += kByteOrderMark.size();
}

void CsvReader::Consume(size_t count) {
  row_text_.clear();
  for (size_t i = 0; i < count; ++i) {
    Line& line = lines_[i];
    if (line.ended) line.text.push_back('\n');
    digest_.Add(line.text);
    next_byte_ += line.text.size();
    row_text_ += line.text;
  }
  next_line_ += count;
  while (row_text_.ends_with('\n') || row_text_.ends_with('\r')) {
    row_text_.pop_back();
  }
  again_.insert(again_.begin(), std::make_move_iterator(lines_.begin() + count),
                std::make_move_iterator(lines_.end()));
  lines_.clear();
}

absl::Status CsvReader::Refuse(absl::string_view problem) {
  ResetParser();
  Consume(1);
  return absl::InvalidArgumentError(absl::StrCat(Position(), ": ", problem));
}

void CsvReader::GoTo(uint64_t byte, uint64_t line) {
  if (byte == next_byte_) return;  // seeking would read it once more
  input_.clear();
  input_.seekg(static_cast<std::streamoff>(byte));
  again_.clear();
  next_byte_ = byte;
  next_line_ = line;
}

// Where a text inside of quotes has all the commas of a row, the quote that
// was meant to be closed is probably an earlier one.
bool CsvReader::MayHaveSwallowedRows() const {
  if (header_.size() < 2) return false;
  const size_t commas = header_.size() - 1;
  const std::string& first = lines_.front().text;
  const size_t quote = first.rfind('"');
  if (Commas(first) == commas && Commas(first.substr(0, quote)) < commas) {
    return true;
  }
  for (size_t i = 1; i < lines_.size(); ++i) {
    const std::string& text = lines_[i].text;
    if (Commas(text.substr(0, text.find('"'))) >= commas) return true;
  }
  return false;
}

absl::Status CsvReader::CheckFields(size_t num_fields) const {
  const size_t columns = header_.size();
  if (columns == 0 || num_fields == columns) return absl::OkStatus();
  std::string problem =
      absl::StrCat("has ", num_fields, " field", num_fields == 1 ? "" : "s",
                   ", the header has ", columns, " columns");
  if (num_fields == columns + 1 && (*fields_)[columns].empty()) {
    absl::StrAppend(&problem,
                    ": leave out the comma at the end of the line, or end the "
                    "header with one too");
  } else if (num_fields > columns) {
    absl::StrAppend(&problem,
                    ": name the column that has no name, or write the file "
                    "without it (pandas: index=False, R: row.names=FALSE)");
  } else if (!lines_.back().ended) {
    absl::StrAppend(&problem, ": the file ends in the middle of the line");
  }
  return absl::InvalidArgumentError(problem);
}

absl::Status CsvReader::CannotBeRead() const {
  return absl::UnknownError(
      absl::StrCat(name_, ":", next_line_, ": cannot be read"));
}

absl::StatusOr<bool> CsvReader::EndInsideQuotes() {
  if (last_line_ == LastLine::kIsARow) return Refuse(kNotClosed);
  ResetParser();
  unfinished_line_ = line_;
  row_text_ = std::move(lines_.front().text);
  lines_.clear();
  return false;
}

// Most lines have neither quotes nor carriage returns, and libcsv takes them
// character by character.
bool CsvReader::SplitPlainLine(absl::string_view line) {
  absl::ConsumeSuffix(&line, "\r");
  if (lines_.size() > 1 || absl::StrContains(line, '"') ||
      absl::StrContains(line, '\r')) {
    return false;
  }
  for (;;) {
    const size_t comma = line.find(',');
    AddField(WithoutBlanks(line.substr(0, comma)));
    if (comma == line.npos) break;
    line.remove_prefix(comma + 1);
  }
  row_done_ = true;
  return true;
}

absl::string_view CsvReader::ParseLine(absl::string_view line) {
  if (SplitPlainLine(line)) return "";
  // libcsv ends a row at a carriage return alone, too, and passes over one in
  // front: RFC 4180 does not, and two rows would be taken for one.
  const bool returned = absl::EndsWith(line, "\r");
  const size_t size = line.size() - (returned ? 1 : 0);
  const size_t first = line.find_first_not_of(" \t");
  if (lines_.size() == 1 && first < size && line[first] == '\r') {
    return kStrayReturn;
  }
  const size_t parsed =
      csv_parse(&parser_, line.data(), size, OnField, OnRow, this);
  if (row_done_) return kStrayReturn;
  if (parsed != size) return kStrayQuote;
  // Inside of quotes they are part of the field.
  const absl::string_view end = returned ? "\r\n" : "\n";
  csv_parse(&parser_, end.data(), end.size(), OnField, OnRow, this);
  return "";
}

// Line by line, so that the line number is known.
absl::StatusOr<bool> CsvReader::ParseRow() {
  size_t bytes = 0;
  while (!row_done_) {
    if (!TakeLine()) {
      return input_.bad() ? CannotBeRead() : EndInsideQuotes();
    }
    Line& line = lines_.back();
    bytes += line.text.size();
    if (!line.ended && last_line_ == LastLine::kIsUnfinished) {
      return EndInsideQuotes();
    }
    if (lines_.size() > kMaxRowLines ||
        (lines_.size() > 1 && bytes > kMaxRowBytes)) {
      return Refuse(kNotClosed);
    }
    if (absl::StrContains(line.text, '\0')) {
      return Refuse("has a NUL byte: is the file UTF-16, or binary?");
    }
    const absl::string_view problem = ParseLine(line.text);
    if (!problem.empty()) {
      return Refuse(lines_.size() > 1 ? kNotClosed : problem);
    }
  }
  return true;
}

absl::StatusOr<bool> CsvReader::ReadRow(std::vector<std::string>& fields) {
  fields_ = &fields;
  num_fields_ = 0;
  row_done_ = false;
  do {
    if (!lines_.empty()) Consume(1);  // an empty one
    if (!TakeLine()) {
      if (input_.bad()) return CannotBeRead();
      return false;
    }
  } while (IsBlank(lines_.front().text) &&
           (lines_.front().ended || last_line_ == LastLine::kIsARow));
  line_ = next_line_;
  byte_ = next_byte_;
  again_.push_front(std::move(lines_.back()));
  lines_.clear();
  absl::StatusOr<bool> parsed = ParseRow();
  if (!parsed.ok() || !*parsed) return parsed;
  if (absl::Status s = CheckFields(num_fields_); !s.ok()) {
    return Refuse(s.message());
  }
  if (lines_.size() > 1 && MayHaveSwallowedRows()) return Refuse(kNotClosed);
  Consume(lines_.size());
  fields.resize(num_fields_);
  return true;
}

std::string CsvField(absl::string_view text) {
  std::string field(2 * text.size() + 2, '\0');  // were all of it quotes
  field.resize(csv_write(field.data(), field.size(), text.data(), text.size()));
  return field;
}

}  // namespace qlarank
