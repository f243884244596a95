#include "state_store/checksum.h"

#include <string>

#include "gtest/gtest.h"

namespace qlarank {
namespace {

// RFC 3720, appendix B.4.
TEST(Crc32cTest, AgreesWithTheVectorsOfTheRfc) {
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62A8AB43u);
  std::string ascending;
  for (char c = 0; c < 32; ++c) ascending.push_back(c);
  EXPECT_EQ(Crc32c(ascending), 0x46DD794Eu);
  EXPECT_EQ(Crc32c(std::string(ascending.rbegin(), ascending.rend())),
            0x113FDB5Cu);
  EXPECT_EQ(Crc32c(absl::string_view(
                "\x01\xc0\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                "\x00\x14\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\x14\x00\x00"
                "\x00\x18\x28\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00"
                "\x00\x00\x00",
                48)),
            0xD9963A56u);
}

TEST(Crc32cTest, AgreesWithTheCheckValue) {
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(Crc32c(""), 0u);
}

TEST(Crc32cTest, ContinuesAtEverySplit) {
  const std::string text = "the quick brown fox jumps over the lazy dog";
  for (size_t i = 0; i <= text.size(); ++i) {
    EXPECT_EQ(Crc32c(text.substr(i), Crc32c(text.substr(0, i))), Crc32c(text));
  }
}

TEST(Crc32cTest, MaskKeepsChecksumsApartAndIsFixed) {
  EXPECT_EQ(MaskCrc(0), 0xA282EAD8u);
  EXPECT_EQ(MaskCrc(0xE3069283u), 0xC78AB0E5u);
}

}  // namespace
}  // namespace qlarank
