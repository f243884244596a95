// A bundle one of whose files holds any bytes is refused by name or loads, and
// then answers what it is asked. The first byte says which file; the digests in
// model.textproto are made to fit, so that all behind them is reached.
#include <google/protobuf/text_format.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "model/bundle.h"
#include "model/engine.h"
#include "model/golden_replay.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/tiny_bundle.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::fuzz {
namespace {

enum File : uint8_t { kWeights, kItems, kTitles, kSpec, kGolden, kNumFiles };

const BundleFiles& Sound() {
  static const auto* const files = new BundleFiles(MakeFiles(TinySpec()));
  return *files;
}

// Of a user with two events; nobody knows its scores.
std::string SoundGolden() {
  model::v1::ModelSpec spec;
  Check(google::protobuf::TextFormat::ParseFromString(Sound().spec, &spec),
        "the sound spec is a textproto");
  return absl::StrCat("fingerprint: \"", spec.fingerprint(), R"("
      tasks: "click" tasks: "like"
      cases {
        name: "2 events" time_us: 1700000000000000
        events { item_id: 10 action: "buy" time_us: 9 features: 1.5 }
        events { item_id: 7 action: "view" time_us: 1000000 features: [-2] }
        context { feature: "device" value: "phone" }
        candidates { item_id: 20 features: 3 scores: [0.5, -1e-3] }
        candidates { item_id: 8 features: 0 scores: [1, 2] }
      })");
}

BundleFiles With(File file, const std::string& bytes) {
  BundleFiles files = Sound();
  switch (file) {
    case kWeights:
      files.weights = bytes;
      break;
    case kItems:
      files.items = bytes;
      break;
    case kTitles:
      files.titles = bytes;
      return files;  // no digest is of them
    case kGolden:
      files.golden = bytes;
      break;
    default:
      files.spec = bytes;
      return files;
  }
  Seal(TinySpec(), files);
  return files;
}

void CheckBundle(const Bundle& bundle) {
  for (size_t item = 0; item < bundle.item_ids().size(); ++item) {
    const uint64_t id = bundle.item_ids()[item];
    Check(bundle.ItemRow(id) == item + 1, "an item has its row");
    (void)bundle.Title(id);
  }
  Check(bundle.tensor("item_embedding").size() ==
            (bundle.item_ids().size() + 1) * bundle.spec().d_model(),
        "every item has an embedding");
  if (bundle.golden_requests().cases().empty()) return;
  const auto shared = std::shared_ptr<const Bundle>(&bundle, [](auto*) {});
  const auto engine = Engine::Create(shared);
  Check(engine.ok(), "a sound bundle has an engine");
  const auto replay = ReplayGoldenRequests(**engine);
  Check(replay.ok() || absl::IsFailedPrecondition(replay.status()),
        "golden requests that were taken can be asked");
}

}  // namespace

std::vector<std::string> Seeds() {
  const auto seed = [](File file, const std::string& bytes) {
    return std::string(1, static_cast<char>(file)) + bytes;
  };
  return {seed(kWeights, Sound().weights), seed(kItems, Sound().items),
          seed(kTitles, Sound().titles), seed(kSpec, Sound().spec),
          seed(kGolden, SoundGolden())};
}

}  // namespace qlarank::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace fuzz = qlarank::fuzz;
  if (size == 0) return 0;
  static const auto* const folder = new qlarank::testing::TempDir;
  const auto file = static_cast<fuzz::File>(data[0] % fuzz::kNumFiles);
  fuzz::Write(
      fuzz::With(file, std::string(fuzz::AsText(data + 1, size - 1))),
      folder->path());
  const auto bundle = qlarank::Bundle::Load(folder->path());
  if (bundle.ok()) {
    fuzz::CheckBundle(**bundle);
    return 0;
  }
  fuzz::Check((absl::IsDataLoss(bundle.status()) ||
               absl::IsInvalidArgument(bundle.status())) &&
                  absl::StartsWith(bundle.status().message(), folder->path()),
              "what is no bundle is refused by the file's name");
  return 0;
}
