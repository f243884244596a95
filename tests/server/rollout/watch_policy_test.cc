#include "server/rollout/watch_policy.h"

#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace qlarank::testing {
namespace {

using Versions = std::map<uint64_t, WatchedVersion>;

// Of kinds of versions.
WatchedVersion New() { return {.folder = "a"}; }
WatchedVersion Tried() { return {.folder = "a", .tried = "a", .failed = true}; }
WatchedVersion Served() {
  return {.folder = "a", .tried = "a", .served = true, .may_go = true};
}
WatchedVersion Held() {
  WatchedVersion version = Served();
  version.may_go = false;
  return version;
}

struct Policy {
  const char* name;
  Versions versions;
  uint32_t keep;
  WatchDecision expected;
};

class WatchPolicyTest : public ::testing::TestWithParam<Policy> {};

TEST_P(WatchPolicyTest, Decides) {
  const WatchDecision decision =
      DecideWatch(GetParam().versions, GetParam().keep);
  EXPECT_EQ(decision.load, GetParam().expected.load);
  EXPECT_EQ(decision.unload, GetParam().expected.unload);
}

WatchedVersion Gone(WatchedVersion version) {
  version.folder.reset();
  return version;
}
WatchedVersion Changed(WatchedVersion version) {
  version.folder = "b";
  return version;
}
WatchedVersion Before(WatchedVersion version) {
  version.before_stable = true;
  return version;
}
WatchedVersion NotChosen(WatchedVersion version) {
  version.chosen = false;
  return version;
}

INSTANTIATE_TEST_SUITE_P(
    All, WatchPolicyTest,
    ::testing::Values(
        Policy{"Nothing", {}, 0, {}},
        Policy{"WhatIsNewIsLoaded", {{1, Served()}, {2, New()}}, 0, {{2}, {}}},
        Policy{"TheNewestFirst", {{1, New()}, {2, New()}}, 0, {{2, 1}, {}}},
        Policy{"WhatIsNotWholeIsNot", {{2, {.folder = ""}}}, 0, {}},
        Policy{"WhatFailedIsNotTriedAgain", {{2, Tried()}}, 0, {}},
        Policy{"UntilItIsChanged", {{2, Changed(Tried())}}, 0, {{2}, {}}},
        Policy{"WhatIsServedStaysAsItIs", {{2, Changed(Served())}}, 0, {}},
        Policy{"WhatSomebodyUnloadedStaysSo",
               {{2, {.folder = "a", .tried = "a"}}}, 0, {}},
        Policy{"WhatWentIsUnloaded", {{2, Gone(Served())}}, 0, {{}, {2}}},
        Policy{"FailuresToo", {{2, Gone([] {
                                  WatchedVersion version = Tried();
                                  version.may_go = true;
                                  return version;
                                }())}},
               0, {{}, {2}}},
        Policy{"NotWhatIsHeld", {{2, Gone(Held())}}, 0, {}},
        Policy{"EvenWhatRollbackWouldGoTo", {{2, Gone(Before(Served()))}}, 0,
               {{}, {2}}},
        Policy{"OnlyTheNewestAreKept",
               {{1, Served()}, {2, Served()}, {3, Served()}}, 2, {{}, {1}}},
        Policy{"OldOnesGoWhenTheNewOneIsThere",
               {{1, Served()}, {2, Served()}, {3, New()}}, 2, {{3}, {}}},
        Policy{"OneThatFailedPushesNobodyOut",
               {{1, Served()}, {2, Served()}, {3, Tried()}}, 2, {}},
        Policy{"LabelsHoldOldOnes",
               {{1, Held()}, {2, Served()}, {3, Served()}}, 1, {{}, {2}}},
        Policy{"AndSoDoesRollback",
               {{1, Before(Served())}, {2, Served()}, {3, Held()}}, 1,
               {{}, {2}}},
        Policy{"WhatIsNotChosenIsNotLoaded",
               {{1, New()}, {2, NotChosen(New())}}, 0, {{1}, {}}},
        Policy{"WhatIsNotChosenGoes",
               {{1, Before(NotChosen(Served()))},
                {2, NotChosen(Held())},
                {3, NotChosen(Served())},
                {4, Served()}},
               0, {{}, {3}}},
        Policy{"OldOnesAreNotLoaded",
               {{1, New()}, {2, New()}, {3, New()}, {4, Served()}}, 2,
               {{3}, {}}}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace qlarank::testing
