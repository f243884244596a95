#include "server/security/certificate_files.h"

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/certificates.h"
#include "tests/testing/temp_dir.h"

namespace qlarank {
namespace {

using ::testing::HasSubstr;
using testing::KeyPair;
using ::testing::StartsWith;
using testing::TempDir;
using testing::TestAuthority;

class CertificateFilesTest : public ::testing::Test {
 protected:
  CertificateFilesTest() {
    tls_.certificate_file = pair_.certificate_file;
    tls_.private_key_file = pair_.private_key_file;
    tls_.client_ca_file = authority_.certificate_file();
  }

  absl::Status Check(absl::Time now = absl::Now()) const {
    return CheckCertificateFiles(tls_, now).status();
  }

  TempDir dir_;
  const TestAuthority authority_{dir_.path(), "authority"};
  const KeyPair pair_ = authority_.Issue("pair", "c", "DNS:localhost", 5);
  TlsOptions tls_;
};

TEST_F(CertificateFilesTest, TellsWhenTheyEnd) {
  const absl::Time now = absl::Now();
  const auto expiry = CheckCertificateFiles(tls_, now);
  ASSERT_TRUE(expiry.ok()) << expiry.status();
  EXPECT_LT(absl::AbsDuration(expiry->server - now - absl::Hours(5 * 24)),
            absl::Hours(1));
  ASSERT_TRUE(expiry->client_ca.has_value());
  EXPECT_LT(absl::AbsDuration(*expiry->client_ca - now - absl::Hours(30 * 24)),
            absl::Hours(1));
}

TEST_F(CertificateFilesTest, OfAChainTheFirstToEndCounts) {
  const std::string chain = dir_.Path("chain.crt");
  std::ofstream(chain)
      << testing::ReadFile(pair_.certificate_file)
      << testing::ReadFile(authority_.Issue("short", "c", "", 2)
                                 .certificate_file);
  tls_.certificate_file = chain;
  const absl::Time now = absl::Now();
  const auto expiry = CheckCertificateFiles(tls_, now);
  ASSERT_TRUE(expiry.ok()) << expiry.status();
  EXPECT_LT(expiry->server - now, absl::Hours(3 * 24));
}

TEST_F(CertificateFilesTest, RefusesWhatIsNotValidNow) {
  EXPECT_TRUE(Check().ok());
  const absl::Status late = Check(absl::Now() + absl::Hours(6 * 24));
  EXPECT_EQ(late.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(late.message()),
              StartsWith(absl::StrCat("security.tls.certificate_file: \"",
                                      pair_.certificate_file,
                                      "\": a certificate expired at ")));
  EXPECT_THAT(std::string(Check(absl::UnixEpoch()).message()),
              HasSubstr("a certificate is not valid before "));
}

TEST_F(CertificateFilesTest, RefusesAnotherCertificatesKey) {
  tls_.private_key_file = authority_.Issue("other", "c", "").private_key_file;
  EXPECT_EQ(Check(), absl::InvalidArgumentError(absl::StrCat(
                         "security.tls.private_key_file: \"",
                         tls_.private_key_file,
                         "\": is not the key of security.tls."
                         "certificate_file")));
}

TEST_F(CertificateFilesTest, RefusesWhatIsNoPem) {
  const std::string nonsense = dir_.Path("nonsense");
  std::ofstream(nonsense) << "nonsense";
  TlsOptions good = tls_;
  tls_.certificate_file = nonsense;
  EXPECT_THAT(std::string(Check().message()),
              HasSubstr("certificate_file: \"" + nonsense +
                        "\": holds no PEM certificate"));
  tls_ = good;
  tls_.private_key_file = nonsense;
  EXPECT_THAT(std::string(Check().message()),
              HasSubstr("private_key_file: \"" + nonsense +
                        "\": holds no PEM private key"));
  tls_ = good;
  tls_.client_ca_file = nonsense;
  EXPECT_THAT(std::string(Check().message()),
              HasSubstr("client_ca_file: \"" + nonsense +
                        "\": holds no PEM certificate"));
}

TEST_F(CertificateFilesTest, NamesAFileThatIsNotThere) {
  tls_.certificate_file = "/no/such.crt";
  EXPECT_EQ(Check().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(Check().message()),
              StartsWith("security.tls.certificate_file: \"/no/such.crt\": "
                         "cannot be read"));
}

}  // namespace
}  // namespace qlarank
