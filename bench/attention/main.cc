// What each attention mechanism costs by the length of a user's history, and
// whether its candidates see each other. Writes FOLDER/attention.csv and
// FOLDER/attention_leakage.csv; ./run bench attention runs it and makes tables
// and plots of them.
//
//   attention_bench [FOLDER]    default: build/bench
//
// One core. Times are the thread's processor time, so that other work on the
// machine counts as little as possible, and medians of repeats.

#include <cstdio>
#include <filesystem>
#include <string>

#include "absl/strings/str_format.h"
#include "bench/attention/measure.h"

namespace qlarank::bench::attention {
namespace {

constexpr char kUsage[] = "usage: attention_bench [FOLDER]\n";

// Opens FOLDER/name, or says why not and exits.
FILE* OpenOrDie(const std::string& folder, const char* name) {
  const std::string path = folder + "/" + name;
  FILE* file = fopen(path.c_str(), "w");
  if (file == nullptr) {
    perror(("attention_bench: " + path).c_str());
    exit(1);
  }
  return file;
}

// So that a full disk is not taken for a result.
void CloseOrDie(FILE* file) {
  const bool written = ferror(file) == 0;
  if (fclose(file) != 0 || !written) {
    perror("attention_bench: cannot write the results");
    exit(1);
  }
}

void MeasureCosts(FILE* csv) {
  fprintf(csv, "mechanism,history,events,rank_ms,append_us,bytes_kept\n");
  const auto write = [&](const Cost& cost) {
    // An append that was not measured stays empty.
    const std::string append =
        cost.append_us > 0 ? absl::StrFormat("%.3f", cost.append_us) : "";
    fprintf(csv, "%s,%zu,%zu,%.4f,%s,%llu\n", cost.mechanism.c_str(),
            cost.history, cost.events, cost.rank_ms, append.c_str(),
            static_cast<unsigned long long>(cost.bytes_kept));
    fflush(csv);
    printf(
        "%-20s %9zu events: %9.3f ms a request  %9s us an event  %10llu "
        "bytes\n",
        cost.mechanism.c_str(), cost.events, cost.rank_ms,
        append.empty() ? "-" : append.c_str(),
        static_cast<unsigned long long>(cost.bytes_kept));
    fflush(stdout);
  };
  for (const MechanismKind& kind : AllMechanisms()) MeasureKind(kind, write);
  MeasureRecomputedSoftmax(write);
  MeasureServedEngine(write);
}

void MeasureLeakages(FILE* csv) {
  fprintf(csv, "mechanism,bitwise_equal,largest_move\n");
  for (const auto& [name, leakage] : LeakageOfAll()) {
    fprintf(csv, "%s,%d,%.6g\n", name.c_str(), leakage.bitwise_equal,
            leakage.largest_move);
    printf("%-20s other candidates move a score by %.6g deviations%s\n",
           name.c_str(), leakage.largest_move,
           leakage.bitwise_equal ? ", no bit of it" : "");
  }
}

}  // namespace
}  // namespace qlarank::bench::attention

int main(int argc, char** argv) {
  namespace attention = qlarank::bench::attention;
  if (argc > 2) {
    fputs(attention::kUsage, stderr);
    return 2;
  }
  const std::string folder = argc > 1 ? argv[1] : "build/bench";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    fprintf(stderr, "attention_bench: cannot make folder %s: %s\n",
            folder.c_str(), error.message().c_str());
    return 1;
  }
  FILE* leakage_csv = attention::OpenOrDie(folder, "attention_leakage.csv");
  attention::MeasureLeakages(leakage_csv);
  attention::CloseOrDie(leakage_csv);
  FILE* csv = attention::OpenOrDie(folder, "attention.csv");
  attention::MeasureCosts(csv);
  attention::CloseOrDie(csv);
  return 0;
}
