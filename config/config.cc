#include "config/config.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "config/options_from_proto.h"
#include "config/options_to_proto.h"
#include "config/read_file.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"

namespace qlarank {
namespace {

// Writes the parser's errors as compilers do, counting from 1.
class ErrorLines : public google::protobuf::io::ErrorCollector {
 public:
  explicit ErrorLines(absl::string_view origin) : origin_(origin) {}

  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    if (!lines_.empty()) lines_ += "\n";
    absl::StrAppend(&lines_, origin_, ":", line + 1, ":", column + 1, ": ",
                    message);
  }

  const std::string& lines() const { return lines_; }

 private:
  const absl::string_view origin_;
  std::string lines_;
};

}  // namespace

absl::StatusOr<ServerOptions> LoadServerConfig(const std::string& path) {
  absl::StatusOr<std::string> text = ReadWholeFile(path, path);
  if (!text.ok()) return text.status();
  return ParseServerConfig(*text, path);
}

absl::StatusOr<ServerOptions> ParseServerConfig(absl::string_view text,
                                                absl::string_view origin) {
  ErrorLines errors(origin);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  config::v1::ServerConfig config;
  if (!parser.ParseFromString(std::string(text), &config)) {
    return absl::InvalidArgumentError(errors.lines());
  }
  return OptionsFromProto(config, origin);
}

std::string ToTextproto(const ServerOptions& options) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(OptionsToProto(options), &text);
  return text;
}

}  // namespace qlarank
