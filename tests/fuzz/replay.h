// What replay_test.cc, which is compiled once for all targets, runs of one of
// them: its CMakeLists.txt makes a source of these from replay.cc.in.
#ifndef QLARANK_TESTS_FUZZ_REPLAY_H_
#define QLARANK_TESTS_FUZZ_REPLAY_H_

namespace qlarank::fuzz {

// The folder of what fuzzing left behind; may be missing.
extern const char kReplayCorpus[];
// How many inputs are made of it and of the seeds.
extern const int kReplayMutations;

}  // namespace qlarank::fuzz

#endif  // QLARANK_TESTS_FUZZ_REPLAY_H_
