// Any text is a token file or refused by its place, and the refusal holds
// nothing of a token that stands somewhere in it; or a token authenticates as
// the file says, and nothing else does.
//
// In the input "@" stands for a token and "%" for its digest: mutations would
// not leave either whole.
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <memory>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "config/roles.h"
#include "qlarank/config/v1/token_file.pb.h"
#include "server/security/authenticator.h"
#include "server/security/token_table.h"
#include "tests/fuzz/fuzz_target.h"

namespace qlarank::fuzz {
namespace {

constexpr char kToken[] = "correct-horse";
// As sha256sum prints it.
constexpr char kDigest[] =
    "9dca666eb54730714630d1519264a7bf1eeaad00b8f2edc90d3ecbfad928d163";

class NoErrors : public google::protobuf::io::ErrorCollector {
  void AddError(int, int, const std::string&) override {}
};

void CheckProblem(const absl::Status& status) {
  Check(absl::IsInvalidArgument(status), "a bad token file is refused");
  const absl::string_view message = status.message();
  Check(absl::StartsWith(message, "FILE: tokens[") ||
            (absl::StartsWith(message, "FILE:") && message.size() > 5 &&
             absl::ascii_isdigit(message[5]) && message[5] != '0') ||
            absl::StartsWith(message, "FILE: holds no token;"),
        "a mistake is told by its place, where it has one");
  Check(!absl::StrContains(message, kToken), "a refusal holds no token");
  Check(!absl::StrContains(message, '\n'), "a refusal is one line");
}

config::v1::TokenFile Read(const std::string& text) {
  NoErrors ignored;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&ignored);
  config::v1::TokenFile file;
  Check(parser.ParseFromString(text, &file), "a token file is a textproto");
  return file;
}

// What presenting the token gives.
std::variant<Caller, Denial> Present(const Authenticator& authenticator,
                                     absl::string_view token, absl::Time now) {
  const std::string authorization = absl::StrCat("Bearer ", token);
  return authenticator.Identify({{authorization}, {}}, now);
}

bool IsDenied(const std::variant<Caller, Denial>& found, Denial denial) {
  const auto* const denied = std::get_if<Denial>(&found);
  return denied != nullptr && *denied == denial;
}

void CheckEntry(const config::v1::Token& token,
                const Authenticator& authenticator) {
  absl::Time end = absl::InfiniteFuture();
  Check(token.expires().empty() || absl::ParseTime(absl::RFC3339_full,
                                                   token.expires(), &end,
                                                   nullptr),
        "a token ends at a time");
  for (const absl::Time now : {absl::UnixEpoch(), end, end - absl::Seconds(1),
                               absl::FromUnixSeconds(4'000'000'000)}) {
    const auto found = Present(authenticator, kToken, now);
    if (now >= end) {
      Check(IsDenied(found, Denial::kExpiredToken), "a token ends in time");
      continue;
    }
    const auto* const caller = std::get_if<Caller>(&found);
    Check(caller != nullptr && caller->name == token.name() &&
              !caller->name.empty(),
          "a token is whose it is written to be");
    Check(caller->roles == RolesFromProto(token.roles()) &&
              !caller->roles.empty(),
          "a token allows what is written");
  }
}

void CheckTable(const std::string& text, TokenTable table) {
  const config::v1::TokenFile file = Read(text);
  Check(table.size() == static_cast<size_t>(file.tokens_size()),
        "every token is there");
  Authenticator authenticator({});
  authenticator.SetTokens(std::make_shared<const TokenTable>(std::move(table)));
  const config::v1::Token* ours = nullptr;
  for (const config::v1::Token& token : file.tokens()) {
    if (token.sha256() != kDigest) continue;
    Check(ours == nullptr, "no two tokens are the same");
    ours = &token;
  }
  if (ours != nullptr) CheckEntry(*ours, authenticator);
  const absl::Time now = absl::UnixEpoch();
  Check(ours != nullptr || IsDenied(Present(authenticator, kToken, now),
                                    Denial::kUnknownToken),
        "a token that is not written is unknown");
  for (const absl::string_view other : {"", "correct-hors", kDigest}) {
    Check(
        IsDenied(Present(authenticator, other, now), Denial::kUnknownToken),
        "what is no token lets nobody in");
  }
}

}  // namespace

std::vector<std::string> Seeds() {
  return {
      "tokens { name: 'ranker' sha256: '%' roles: ROLE_RANK }",
      "# comment\ntokens {\n  name: \"ops\"\n  sha256: \"%\"\n"
      "  roles: [ROLE_ADMIN, ROLE_INGEST]\n"
      "  expires: \"2027-01-31T00:00:00Z\"\n}\n",
      "tokens { name: 'a' sha256: '481fd32833966be5ea069e1ee38aab255d779d5510"
      "123c244d08de4194bbbee6' roles: ROLE_RANK expires: 'infinite-past' }\n"
      "tokens { name: 'b' sha256: '%' roles: ROLE_INGEST }",
      // Tokens where none belongs.
      "tokens { name: '@' sha256: '@' roles: ROLE_RANK }",
      "tokens { name: '@' sha256: '%' roles: ROLE_RANK }"
      "tokens { name: '@' sha256: '%' roles: ROLE_RANK }",
      "tokens { name: 'a' sha256: '%' roles: ROLE_RANK expires: '@' }",
      "tokens { name: 'a' @: 1 }", "@"};
}

}  // namespace qlarank::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace fuzz = qlarank::fuzz;
  const std::string text =
      absl::StrReplaceAll(fuzz::AsText(data, size),
                          {{"@", fuzz::kToken}, {"%", fuzz::kDigest}});
  auto table = qlarank::TokenTable::Parse(text, "FILE");
  if (!table.ok()) {
    fuzz::CheckProblem(table.status());
    return 0;
  }
  fuzz::CheckTable(text, *std::move(table));
  return 0;
}
