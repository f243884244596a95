// Any bytes at all are a file of the request log: it has records up to where it
// is damaged, and these are read again from where they were put.
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "qlarank/v1/request_log.pb.h"
#include "server/request_log/frames.h"
#include "tests/fuzz/fuzz_target.h"

namespace qlarank::fuzz {
namespace {

struct Contents {
  std::vector<std::string> records;
  uint64_t read_bytes;
};

Contents Read(absl::string_view bytes) {
  std::istringstream file{std::string(bytes)};
  RecordReader reader(file);
  Contents contents;
  for (std::string record; reader.Next(record);) {
    contents.records.push_back(record);
  }
  Check(reader.read_bytes() <= bytes.size(), "no more is read than there is");
  contents.read_bytes = reader.read_bytes();
  return contents;
}

}  // namespace

std::vector<std::string> Seeds() {
  v1::LoggedRequest request;
  request.set_arrival_us(1'700'000'000'000'000);
  request.mutable_request()->set_user_id("user");
  request.mutable_request()->add_item_ids(42);
  request.mutable_response()->add_scores(.5f);
  const std::string record = Framed(request.SerializeAsString());
  return {record, record + record, Framed(""),
          record + Framed(std::string(300, 'x')) + record};
}

}  // namespace qlarank::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace qlarank::fuzz;
  const absl::string_view input = AsText(data, size);
  const Contents contents = Read(input);
  // What a crash leaves is cut so.
  Check(Read(input.substr(0, contents.read_bytes)).records == contents.records,
        "what is cut to its whole records has them");
  std::string again;
  for (const std::string& record : contents.records) {
    again += qlarank::Framed(record);
  }
  Check(Read(again).records == contents.records,
        "what is written again has the same records");
  return 0;
}
