// An engine serves what the trainer made, or says what it found instead.

#include "model/golden_replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "model/bundle.h"
#include "model/engine.h"
#include "model/precision.h"
#include "tests/model/bundle_copy.h"
#include "tests/model/golden.h"
#include "tests/testing/failing_products.h"

namespace qlarank::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

absl::StatusOr<GoldenReplay> Replay(const std::string& folder,
                                    Precision precision = Precision::kF32) {
  auto bundle = Bundle::Load(folder);
  if (!bundle.ok()) return bundle.status();
  const auto engine = Engine::Create(*std::move(bundle), {precision});
  if (!engine.ok()) return engine.status();
  return ReplayGoldenRequests(**engine);
}

// What is allowed leaves room: in float32 a hundredth of it is needed, and in
// lower precisions, of models as narrow as these, half.
TEST(GoldenReplayTest, EveryModelScoresAsTheTrainer) {
  for (const std::string& name : GoldenModelNames()) {
    for (const Precision precision :
         {Precision::kF32, Precision::kBf16, Precision::kInt8}) {
      if (!ProcessorHas(precision)) continue;
      SCOPED_TRACE(name + " in " + PrecisionName(precision));
      const auto replay = Replay(GoldenBundleFolder(name), precision);
      ASSERT_TRUE(replay.ok()) << replay.status();
      EXPECT_EQ(replay->num_users, 4);
      EXPECT_EQ(replay->num_scores % 64, 0);
      EXPECT_GT(replay->largest_error, 0);
      if (precision == Precision::kF32) {
        EXPECT_LT(replay->mean_error, 1e-6);
        EXPECT_LT(replay->largest_error, 1e-5);
      } else {
        EXPECT_LT(replay->mean_error, .1);
      }
    }
  }
}

// A bundle one of whose tensors somebody changes, who makes all digests and the
// fingerprint agree: nothing but the scores can tell.
class ChangedBundle : public BundleCopy {
 public:
  explicit ChangedBundle(const std::string& golden)
      : BundleCopy(GoldenBundleFolder(golden)) {}

  // All of the tensor's values a little greater and smaller in turn.
  absl::StatusOr<GoldenReplay> Replayed(const std::string& tensor, float by,
                                        Precision precision = Precision::kF32) {
    const std::string before = ReadAll(weights());
    EditWeights([&](std::string& bytes) {
      const auto file = *TensorFile::Open(weights());
      const auto floats = file->tensors().at(tensor).floats();
      const size_t place = reinterpret_cast<const char*>(floats.data()) -
                           file->contents().data();
      for (size_t i = 0; i < floats.size(); ++i) {
        const float value = floats[i] * (i % 2 == 0 ? 1 + by : 1 - by);
        std::memcpy(bytes.data() + place + i * sizeof(value), &value,
                    sizeof(value));
      }
    });
    SealFingerprint();
    auto replay = Replay(folder_, precision);
    WriteAll(weights(), before);
    return replay;
  }
};

// Of what scores depend on least, how fast a head forgets for instance, or how
// much of each summary a candidate takes, after 40 events at most, one part in a
// thousand is less than matters.
bool MattersLittle(const std::string& tensor) {
  return absl::EndsWith(tensor, ".decay_rate") ||
         absl::EndsWith(tensor, ".alpha") || absl::EndsWith(tensor, ".beta") ||
         tensor == "head.b2" || tensor == "summary.norm_attn" ||
         tensor == "summary.w_q";
}

TEST(GoldenReplayTest, RefusesATensorThatIsOffByOnePartInAThousand) {
  for (const std::string name :
       {"all_l4_decay_conv_everything", "memory_block_l2",
        "seeds_block_l2_attended"}) {
    ChangedBundle changed(name);
    const auto bundle = *Bundle::Load(GoldenBundleFolder(name));
    for (const auto& [tensor, view] : bundle->weights().tensors()) {
      const auto replay =
          changed.Replayed(tensor, MattersLittle(tensor) ? .05f : .001f);
      EXPECT_EQ(replay.status().code(), absl::StatusCode::kFailedPrecondition)
          << name << " " << tensor << ": " << replay.status();
    }
  }
}

TEST(GoldenReplayTest, NamesWhatIsFurthestOff) {
  ChangedBundle changed("block_l2_no_decay_no_dot");
  const auto replay = changed.Replayed("head.w2", .01f);
  EXPECT_THAT(
      std::string(replay.status().message()),
      MatchesRegex(
          "/.*/golden.textproto: the bundle's weights and the engine disagree: "
          "case \"(0|1|5|40) events?\", candidate [0-9]+ \\(item [0-9]+\\), "
          "task \"(like|share)\": expected -?[0-9.]+, found -?[0-9.]+ in f32; "
          "the task's scores are off by [0-9.]+ \\(root mean square\\), at "
          "most [0-9.e-]+ is allowed"));
}

// The greatest difference is found wherever it is.
TEST(GoldenReplayTest, NamesTheUserTheCandidateAndTheTask) {
  class Other : public BundleCopy {
   public:
    Other() : BundleCopy(GoldenBundleFolder("block_l2_no_decay_no_dot")) {}
    std::string Message() {
      EditGolden([](auto& golden) {
        golden.mutable_cases(2)->mutable_candidates(7)->set_scores(1, 12.5);
      });
      return std::string(Replay(folder_).status().message());
    }
  };
  EXPECT_THAT(Other().Message(),
              ContainsRegex("case \"5 events\", candidate 7 \\(item [0-9]+\\), "
                            "task \"share\": expected 12.5, found "));
}

// As far as they round is not far enough for a tensor that is another one.
TEST(GoldenReplayTest, RefusesAnotherTensorInEachPrecision) {
  ChangedBundle changed("all_l4_decay_conv_everything");
  for (const Precision precision : {Precision::kBf16, Precision::kInt8}) {
    if (!ProcessorHas(precision)) continue;
    EXPECT_TRUE(changed.Replayed("head.w1", 0, precision).ok());
    const auto replay = changed.Replayed("head.w1", 2, precision);
    const auto where = absl::StrCat("in ", PrecisionName(precision));
    EXPECT_THAT(std::string(replay.status().message()),
                AllOf(HasSubstr("disagree"), HasSubstr(where)));
  }
}

TEST(GoldenReplayTest, WhatIsNotANumberIsNoScore) {
  const auto bundle = *Bundle::Load(GoldenBundleFolder("all_l1_plain"));
  for (const Precision precision : {Precision::kF32, Precision::kBf16}) {
    if (!ProcessorHas(precision)) continue;
    const auto engine = *Engine::Create(bundle, {precision});
    products_fail = true;
    const auto replay = ReplayGoldenRequests(*engine);
    products_fail = false;
    EXPECT_THAT(std::string(replay.status().message()),
                AllOf(HasSubstr("found nan"), HasSubstr("off by")));
  }
}

TEST(GoldenReplayTest, SaysWhatItComparedOrThatThereIsNothing) {
  EXPECT_THAT(Replay(GoldenBundleFolder("all_l1_plain"))->ToString(),
              MatchesRegex("64 scores of 4 users, off by .* of their spread "
                           "\\(.* at most\\)"));
  EXPECT_EQ(GoldenReplay().ToString(), "none");
}

}  // namespace
}  // namespace qlarank::testing
