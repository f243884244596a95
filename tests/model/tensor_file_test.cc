#include "model/tensor_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "model/aligned_vector.h"

namespace qlarank {
namespace {

using ::testing::HasSubstr;

// A file in memory whose header is `json` and whose data are `data_bytes`
// zeros.
class InMemoryFile {
 public:
  InMemoryFile(std::string json, size_t data_bytes) {
    while (json.size() % 8 != 0) json += ' ';
    const uint64_t header_bytes = json.size();
    bytes_.resize(sizeof(header_bytes) + json.size() + data_bytes);
    std::memcpy(bytes_.data(), &header_bytes, sizeof(header_bytes));
    std::memcpy(bytes_.data() + sizeof(header_bytes), json.data(), json.size());
  }

  absl::string_view view() const { return {bytes_.data(), bytes_.size()}; }
  AlignedVector<char>& bytes() { return bytes_; }

 private:
  AlignedVector<char> bytes_;
};

absl::Status ParseStatus(absl::string_view bytes) {
  return TensorFile::Parse(bytes, "test.safetensors").status();
}

void ExpectRefused(const std::string& json, size_t data_bytes,
                   absl::StatusCode code, const std::string& message) {
  const InMemoryFile file(json, data_bytes);
  const absl::Status status = ParseStatus(file.view());
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  EXPECT_THAT(std::string(status.message()), HasSubstr("test.safetensors"));
}

TEST(TensorFileTest, ReadsTensors) {
  const InMemoryFile file(
      R"({"__metadata__":{"a":"b"},)"
      R"("w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
      R"("ids":{"dtype":"U64","shape":[1],"data_offsets":[24,32]}})",
      32);
  const auto parsed = TensorFile::Parse(file.view(), "test");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const auto& tensors = (*parsed)->tensors();
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors.at("w").ShapeString(), "2x3");
  EXPECT_EQ(tensors.at("w").floats().size(), 6u);
  EXPECT_EQ(tensors.at("ids").u64s().size(), 1u);
}

TEST(TensorFileTest, RefusesDamageByName) {
  using enum absl::StatusCode;
  ExpectRefused("not json", 0, kDataLoss, "header is not JSON");
  ExpectRefused(R"({"w":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}})", 2,
                kInvalidArgument, "tensor w: dtype F16; expected F32 or U64");
  ExpectRefused(R"({"w":{"shape":[1],"data_offsets":[0,4]}})", 4, kDataLoss,
                "tensor w: dtype is missing");
  ExpectRefused(R"({"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4,
                kDataLoss, "tensor w: shape");
  ExpectRefused(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4,
                kDataLoss, "tensor w: 4 bytes do not fit shape 2");
  ExpectRefused(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4,
                kDataLoss, "tensor w: data_offsets [0, 8] lie outside");
  ExpectRefused(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4,
                kDataLoss, "tensor w: data_offsets [4, 0]");
  ExpectRefused(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 8,
                kDataLoss, "tensors cover 4 of 8 data bytes");
  // 2^62 x 4 bytes overflows.
  ExpectRefused(R"({"w":{"dtype":"F32","shape":[4611686018427387904],)"
                R"("data_offsets":[0,0]}})",
                0, kDataLoss, "tensor w: 0 bytes do not fit shape");
}

TEST(TensorFileTest, RefusesAHeaderLongerThanTheFile) {
  InMemoryFile file("{}", 0);
  const uint64_t huge = 1ull << 40;
  std::memcpy(file.bytes().data(), &huge, sizeof(huge));
  EXPECT_EQ(ParseStatus(file.view()).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ParseStatus("short").code(), absl::StatusCode::kDataLoss);
}

TEST(TensorFileTest, MissingFileIsNotFound) {
  const auto file = TensorFile::Open("/nonexistent/w.safetensors");
  EXPECT_EQ(file.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(file.status().message()),
              HasSubstr("/nonexistent/w.safetensors"));
}

// Whatever the header's bytes are, parsing ends with a status.
TEST(TensorFileTest, SurvivesRandomHeaders) {
  const std::string json =
      R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})";
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    InMemoryFile file(json, 24);
    for (int edits = 0; edits < 2; ++edits) {
      file.bytes()[random() % (8 + json.size())] =
          static_cast<char>(random() % 256);
    }
    const auto parsed = TensorFile::Parse(file.view(), "test");
    if (!parsed.ok()) continue;
    for (const auto& [name, tensor] : (*parsed)->tensors()) {
      EXPECT_LE(tensor.bytes.size(), 24u);
    }
  }
}

}  // namespace
}  // namespace qlarank
