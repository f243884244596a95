#include "cli/item_file.h"

#include <cmath>
#include <istream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/csv_reader.h"
#include "cli/decimal.h"
#include "cli/shown_text.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

class CsvItems final : public ItemFile {
 public:
  CsvItems(std::unique_ptr<InputFile> input, const std::string& path,
           ItemColumns columns)
      : ItemFile(std::move(input)),
        columns_(std::move(columns)),
        reader_(file().stream(), path) {}

  absl::Status ReadHeader();
  absl::StatusOr<bool> Read(v1::UpsertedItem& item) override;
  uint64_t line() const override { return reader_.line(); }

 private:
  absl::Status Bad(size_t column, absl::string_view problem) const {
    return absl::InvalidArgumentError(absl::StrCat(
        reader_.Position(), ": ", ShownText(reader_.header()[column]), " \"",
        ShownText(fields_[column]), "\" ", problem));
  }
  // INVALID_ARGUMENT for a text that cannot be sent.
  absl::Status CheckText(size_t column) const {
    return IsUtf8(fields_[column]) ? absl::OkStatus()
                                   : Bad(column, "is not UTF-8");
  }
  absl::Status SetContents(v1::UpsertedItem& item) const;

  const ItemColumns columns_;
  CsvReader reader_;
  size_t item_ = 0;
  std::optional<size_t> title_;
  std::vector<size_t> attributes_;
  std::vector<size_t> numbers_;
  std::vector<std::string> fields_;
};

absl::Status CsvItems::ReadHeader() {
  if (absl::Status s = reader_.ReadHeader(); !s.ok()) return s;
  const auto item = reader_.Column(columns_.item.name, "--item-column");
  if (!item.ok()) return item.status();
  item_ = *item;
  if (!columns_.title.empty()) {
    const auto title = reader_.Column(columns_.title, "--title-column");
    if (!title.ok()) return title.status();
    title_ = *title;
  }
  const auto find = [this](const std::vector<std::string>& names,
                           std::vector<size_t>& columns) {
    for (const std::string& name : names) {
      const auto column = reader_.Column(name);
      if (!column.ok()) return column.status();
      columns.push_back(*column);
    }
    return absl::OkStatus();
  };
  absl::Status found = find(columns_.attributes, attributes_);
  if (found.ok()) found = find(columns_.numbers, numbers_);
  return found;
}

absl::StatusOr<bool> CsvItems::Read(v1::UpsertedItem& item) {
  item.Clear();
  const absl::StatusOr<bool> read = reader_.ReadRow(fields_);
  if (absl::Status s = file().status(); !s.ok()) return s;
  if (!read.ok() || !*read) return read;
  NoteBytes(reader_.byte());
  const absl::Status set = SetItem(fields_[item_], columns_.item.keys, item);
  if (!set.ok()) return Bad(item_, set.message());
  if (absl::Status s = SetContents(item); !s.ok()) return s;
  return true;
}

absl::Status CsvItems::SetContents(v1::UpsertedItem& item) const {
  absl::Status status;
  if (title_.has_value()) {
    status = CheckText(*title_);
    if (!status.ok()) return status;
    item.set_title(fields_[*title_]);
  }
  for (size_t i = 0; i < attributes_.size(); ++i) {
    const std::string& cell = fields_[attributes_[i]];
    if (cell.empty()) continue;
    status = CheckText(attributes_[i]);
    if (!status.ok()) return status;
    (*item.mutable_attributes())[columns_.attributes[i]].add_values(cell);
  }
  for (size_t i = 0; i < numbers_.size(); ++i) {
    const std::string& cell = fields_[numbers_[i]];
    if (cell.empty()) continue;
    const absl::StatusOr<float> number = ParseFinite(cell);
    if (!number.ok()) return Bad(numbers_[i], number.status().message());
    // In double, as the trainer reads it: ParseFinite has said that it is one.
    (*item.mutable_numbers())[columns_.numbers[i]] = std::stod(cell);
  }
  return absl::OkStatus();
}

class JsonItems final : public ItemFile {
 public:
  JsonItems(std::unique_ptr<InputFile> input, std::string path, ItemKeys keys)
      : ItemFile(std::move(input)), path_(std::move(path)), keys_(keys) {}

  absl::StatusOr<bool> Read(v1::UpsertedItem& item) override;
  uint64_t line() const override { return line_; }

 private:
  using Json = nlohmann::json;

  absl::Status Bad(absl::string_view field, absl::string_view problem) const {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ":", line_, ": ", field, " ", problem));
  }
  absl::Status SetField(const std::string& name, const Json& value,
                        v1::UpsertedItem& item) const;
  absl::Status SetEmbedding(const Json& value, v1::UpsertedItem& item) const;
  absl::Status SetAttributes(const Json& value, v1::UpsertedItem& item) const;
  absl::Status SetNumbers(const Json& value, v1::UpsertedItem& item) const;

  const std::string path_;
  const ItemKeys keys_;
  uint64_t line_ = 0;
  uint64_t bytes_ = 0;
  std::string text_;
};

absl::StatusOr<bool> JsonItems::Read(v1::UpsertedItem& item) {
  item.Clear();
  do {
    if (!std::getline(file().stream(), text_)) {
      if (absl::Status s = file().status(); !s.ok()) return s;
      return false;
    }
    ++line_;
    bytes_ += text_.size() + 1;
    NoteBytes(bytes_);
  } while (text_.find_first_not_of(" \t\r") == std::string::npos);
  const Json object = Json::parse(text_, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) {
    return Bad(absl::StrCat("\"", ShownText(text_), "\""),
               "is not a JSON object");
  }
  if (!object.contains("item")) return Bad("item", "is not there");
  for (const auto& [name, value] : object.items()) {
    if (absl::Status s = SetField(name, value, item); !s.ok()) return s;
  }
  return true;
}

absl::Status JsonItems::SetField(const std::string& name, const Json& value,
                                 v1::UpsertedItem& item) const {
  if (name == "item") {
    const std::string text =
        value.is_string() ? value.get<std::string>() : value.dump();
    const absl::Status set = SetItem(text, keys_, item);
    return set.ok() ? set
                    : Bad(absl::StrCat("item \"", ShownText(text), "\""),
                          set.message());
  }
  if (name == "title") {
    if (!value.is_string()) return Bad("title", "is not a text");
    item.set_title(value.get<std::string>());
    return absl::OkStatus();
  }
  if (name == "embedding") return SetEmbedding(value, item);
  if (name == "bias") {
    if (!value.is_number()) return Bad("bias", "is not a number");
    item.set_bias(value.get<float>());
    return absl::OkStatus();
  }
  if (name == "attributes") return SetAttributes(value, item);
  if (name == "numbers") return SetNumbers(value, item);
  return Bad(absl::StrCat("\"", ShownText(name), "\""),
             "is not a field of items: item, title, embedding, bias, "
             "attributes, numbers");
}

absl::Status JsonItems::SetEmbedding(const Json& value,
                                     v1::UpsertedItem& item) const {
  if (!value.is_array()) return Bad("embedding", "is not a list");
  for (const Json& number : value) {
    if (!number.is_number()) {
      return Bad(absl::StrCat("embedding[", item.embedding_size(), "] ",
                              ShownText(number.dump())),
                 "is not a number");
    }
    item.add_embedding(number.get<float>());
  }
  return absl::OkStatus();
}

absl::Status JsonItems::SetAttributes(const Json& value,
                                      v1::UpsertedItem& item) const {
  if (!value.is_object()) return Bad("attributes", "is not an object");
  for (const auto& [name, given] : value.items()) {
    const Json values = given.is_array() ? given : Json::array({given});
    auto& texts = (*item.mutable_attributes())[name];
    for (const Json& text : values) {
      if (!text.is_string()) {
        return Bad(absl::StrCat("attributes.", ShownText(name), " ",
                                ShownText(text.dump())),
                   "is not a text");
      }
      texts.add_values(text.get<std::string>());
    }
  }
  return absl::OkStatus();
}

absl::Status JsonItems::SetNumbers(const Json& value,
                                   v1::UpsertedItem& item) const {
  if (!value.is_object()) return Bad("numbers", "is not an object");
  for (const auto& [name, number] : value.items()) {
    if (!number.is_number()) {
      return Bad(absl::StrCat("numbers.", ShownText(name), " ",
                              ShownText(number.dump())),
                 "is not a number");
    }
    (*item.mutable_numbers())[name] = number.get<double>();
  }
  return absl::OkStatus();
}

bool IsJson(const std::string& path) {
  const std::string name = NameWithoutCompression(path);
  return absl::EndsWith(name, ".jsonl") || absl::EndsWith(name, ".json");
}

}  // namespace

absl::StatusOr<std::unique_ptr<ItemFile>> ItemFile::Open(
    const std::string& path, ItemColumns columns) {
  auto input = InputFile::Open(path);
  if (!input.ok()) return input.status();
  if (IsJson(path)) {
    return std::make_unique<JsonItems>(*std::move(input), path,
                                       columns.item.keys);
  }
  auto csv =
      std::make_unique<CsvItems>(*std::move(input), path, std::move(columns));
  if (absl::Status s = csv->ReadHeader(); !s.ok()) return s;
  return csv;
}

std::optional<double> ItemFile::fraction() const {
  const std::optional<uint64_t> size = file_->size_bytes();
  if (!size.has_value() || *size == 0) return std::nullopt;
  const uint64_t taken =
      file_->is_compressed() ? file_->bytes_taken() : bytes_;
  return static_cast<double>(taken) / static_cast<double>(*size);
}

absl::Status SetItem(const std::string& text, ItemKeys keys,
                     v1::UpsertedItem& item) {
  const absl::StatusOr<uint64_t> id = ParseItem(text, keys);
  if (!id.ok()) return id.status();
  if (keys == ItemKeys::kTexts) {
    item.set_item_key(text);
  } else {
    item.set_item_id(*id);
  }
  return absl::OkStatus();
}

}  // namespace qlarank
