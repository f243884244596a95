// Any text is a configuration, and then survives being written and read again,
// or is refused with one problem a line, each beginning with the file's name.
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "config/config.h"
#include "tests/fuzz/fuzz_target.h"

namespace qlarank::fuzz {
namespace {

constexpr char kMinimal[] = R"(
  models { name: "m" version: 1 path: "models/m/1" }
  store { path: "data" })";

void CheckProblems(const absl::Status& status) {
  Check(absl::IsInvalidArgument(status), "a bad configuration is refused");
  for (const absl::string_view line : absl::StrSplit(status.message(), '\n')) {
    Check(absl::StartsWith(line, "FILE:"), "every problem is one line");
  }
}

}  // namespace

std::vector<std::string> Seeds() {
  const auto options = ParseServerConfig(kMinimal, "FILE");
  Check(options.ok(), "the minimal configuration is one");
  return {kMinimal, ToTextproto(*options)};
}

}  // namespace qlarank::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace fuzz = qlarank::fuzz;
  const auto options =
      qlarank::ParseServerConfig(fuzz::AsText(data, size), "FILE");
  if (!options.ok()) {
    fuzz::CheckProblems(options.status());
    return 0;
  }
  const auto again =
      qlarank::ParseServerConfig(qlarank::ToTextproto(*options), "FILE");
  fuzz::Check(again.ok() && *again == *options,
              "a configuration survives being written and read");
  return 0;
}
