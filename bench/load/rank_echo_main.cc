// A gRPC server that does nothing but answer (bench/load/rank_echo.h). Prints
// its port, and serves until its standard input ends, as it does with whoever
// started it.
//
//   rank_echo --candidates=2000 [--from_another_thread]

#include <cstdio>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "bench/load/rank_echo.h"

ABSL_FLAG(uint32_t, candidates, 2000, "scores in every response");
ABSL_FLAG(bool, from_another_thread, false,
          "answers come from a thread that is not gRPC's");

int main(int argc, char** argv) {
  using qlarank::bench::RankEcho;
  absl::SetProgramUsageMessage(
      "rank_echo [--candidates=N] [--from_another_thread]");
  absl::ParseCommandLine(argc, argv);
  const auto echo = RankEcho::Start(absl::GetFlag(FLAGS_candidates),
                                    absl::GetFlag(FLAGS_from_another_thread)
                                        ? RankEcho::Answers::kFromAnotherThread
                                        : RankEcho::Answers::kAtOnce);
  if (!echo.ok()) {
    fprintf(stderr, "rank_echo: %s\n", echo.status().ToString().c_str());
    return 1;
  }
  printf("%d\n", (*echo)->port());
  fflush(stdout);
  while (getchar() != EOF) {
  }
  return 0;
}
