#include "server/security/certificate_files.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "config/read_file.h"

namespace qlarank {
namespace {

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;

// A file of the configuration, for messages.
struct Named {
  absl::string_view field;
  const std::string& path;

  std::string name() const {
    return absl::StrCat("security.tls.", field, ": \"", path, "\"");
  }
  std::string operator()(absl::string_view what) const {
    return absl::StrCat(name(), ": ", what);
  }
};

Bio Memory(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

absl::StatusOr<std::vector<Certificate>> ReadCertificates(const Named& file) {
  const absl::StatusOr<std::string> text =
      ReadWholeFile(file.path, file.name());
  if (!text.ok()) return text.status();
  const Bio memory = Memory(*text);
  std::vector<Certificate> certificates;
  while (X509* certificate =
             PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(certificate);
  }
  ERR_clear_error();  // the end of the file is one
  if (certificates.empty()) {
    return absl::InvalidArgumentError(file("holds no PEM certificate"));
  }
  return certificates;
}

absl::Time ToTime(const ASN1_TIME* time) {
  std::tm parts = {};
  ASN1_TIME_to_tm(time, &parts);
  return absl::FromTM(parts, absl::UTCTimeZone());
}

absl::StatusOr<absl::Time> FirstToEnd(
    const std::vector<Certificate>& certificates, const Named& file,
    absl::Time now) {
  absl::Time first = absl::InfiniteFuture();
  for (const Certificate& certificate : certificates) {
    const absl::Time begin = ToTime(X509_get0_notBefore(certificate.get()));
    const absl::Time end = ToTime(X509_get0_notAfter(certificate.get()));
    if (now < begin) {
      return absl::FailedPreconditionError(
          file(absl::StrCat("a certificate is not valid before ",
                            absl::FormatTime(begin, absl::UTCTimeZone()))));
    }
    if (now >= end) {
      return absl::FailedPreconditionError(
          file(absl::StrCat("a certificate expired at ",
                            absl::FormatTime(end, absl::UTCTimeZone()))));
    }
    first = std::min(first, end);
  }
  return first;
}

// Instead of asking at the terminal.
int NoPassphrase(char* /*buffer*/, int /*size*/, int /*writing*/,
                 void* /*unused*/) {
  return 0;
}

absl::Status CheckKey(const Named& file, X509& certificate) {
  const absl::StatusOr<std::string> text =
      ReadWholeFile(file.path, file.name());
  if (!text.ok()) return text.status();
  const Key key(PEM_read_bio_PrivateKey(Memory(*text).get(), nullptr,
                                        &NoPassphrase, nullptr));
  const bool matches =
      key != nullptr && X509_check_private_key(&certificate, key.get()) == 1;
  ERR_clear_error();
  if (key == nullptr) {
    return absl::InvalidArgumentError(
        file("holds no PEM private key without a passphrase"));
  }
  if (!matches) {
    return absl::InvalidArgumentError(
        file("is not the key of security.tls.certificate_file"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CertificateExpiry> CheckCertificateFiles(
    const TlsOptions& options, absl::Time now) {
  CertificateExpiry expiry;
  const Named server{"certificate_file", options.certificate_file};
  const auto certificates = ReadCertificates(server);
  if (!certificates.ok()) return certificates.status();
  const absl::Status key = CheckKey(
      {"private_key_file", options.private_key_file}, *certificates->front());
  if (!key.ok()) return key;
  const auto server_end = FirstToEnd(*certificates, server, now);
  if (!server_end.ok()) return server_end.status();
  expiry.server = *server_end;
  if (options.client_ca_file.empty()) return expiry;
  const Named ca{"client_ca_file", options.client_ca_file};
  const auto authorities = ReadCertificates(ca);
  if (!authorities.ok()) return authorities.status();
  const auto ca_end = FirstToEnd(*authorities, ca, now);
  if (!ca_end.ok()) return ca_end.status();
  expiry.client_ca = *ca_end;
  return expiry;
}

}  // namespace qlarank
