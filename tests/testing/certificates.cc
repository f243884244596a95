#include "tests/testing/certificates.h"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace qlarank::testing {
namespace {

constexpr char kNewKey[] =
    " -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

// A test that has no certificates has no use for less.
void OpensslOrDie(const std::string& arguments) {
  const std::string command = absl::StrCat("openssl ", arguments);
  if (std::system(absl::StrCat(command, " 2>/dev/null").c_str()) == 0) return;
  std::cerr << "failed: " << command << "\n";
  std::abort();
}

}  // namespace

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

TestAuthority::TestAuthority(std::string folder, std::string name)
    : folder_(std::move(folder)),
      own_{absl::StrCat(folder_, "/", name, ".crt"),
           absl::StrCat(folder_, "/", name, ".key")} {
  OpensslOrDie(absl::StrCat("req -x509", kNewKey, " -days 30 -subj /CN=", name,
                            " -keyout ", own_.private_key_file, " -out ",
                            own_.certificate_file));
}

KeyPair TestAuthority::Issue(const std::string& file_name,
                             const std::string& common_name,
                             const std::string& alternative_names,
                             int days) const {
  const std::string path = absl::StrCat(folder_, "/", file_name);
  const KeyPair pair{path + ".crt", path + ".key"};
  std::ofstream(path + ".ext")
      << (alternative_names.empty() ? ""
                                    : "subjectAltName=" + alternative_names);
  OpensslOrDie(absl::StrCat("req", kNewKey, " -subj /CN=", common_name,
                            " -keyout ", pair.private_key_file, " -out ", path,
                            ".csr"));
  OpensslOrDie(absl::StrCat(
      "x509 -req -in ", path, ".csr -CA ", own_.certificate_file, " -CAkey ",
      own_.private_key_file, " -CAcreateserial -days ", days, " -extfile ",
      path, ".ext -out ", pair.certificate_file));
  return pair;
}

}  // namespace qlarank::testing
