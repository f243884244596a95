// Certificates for tests, made by the openssl command as operators make them.
#ifndef QLARANK_TESTS_TESTING_CERTIFICATES_H_
#define QLARANK_TESTS_TESTING_CERTIFICATES_H_

#include <string>

namespace qlarank::testing {

// A file's bytes.
std::string ReadFile(const std::string& path);

struct KeyPair {
  std::string certificate_file;
  std::string private_key_file;
};

// An authority with a key of its own; everything lies in `folder`.
class TestAuthority {
 public:
  TestAuthority(std::string folder, std::string name);

  // A certificate named `file_name`.crt and its key `file_name`.key.
  // `alternative_names` as openssl has them: "DNS:localhost,IP:127.0.0.1"; ""
  // for none. With 0 days it has expired when it is there.
  KeyPair Issue(const std::string& file_name, const std::string& common_name,
                const std::string& alternative_names, int days = 30) const;

  const std::string& certificate_file() const { return own_.certificate_file; }

 private:
  const std::string folder_;
  const KeyPair own_;
};

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_TESTING_CERTIFICATES_H_
