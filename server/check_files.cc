#include "server/check_files.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "config/problems.h"
#include "server/memory_budget.h"
#include "server/models/load_engine.h"
#include "server/security/certificate_files.h"
#include "server/security/security.h"

namespace qlarank {

absl::Status CheckConfiguredFiles(const ServerOptions& options,
                                  absl::string_view origin) {
  Problems problems(origin);
  const auto report = [&](absl::string_view field, const absl::Status& status) {
    if (!status.ok()) problems.AddLine(absl::StrCat(field, status.message()));
  };
  for (size_t i = 0; i < options.models.size(); ++i) {
    report(absl::StrCat("models[", i, "].path: "),
           TryModel(options.models[i]).status());
  }
  report("", PlanMemoryForBundles(options).status());
  const SecurityOptions& security = options.security;
  if (!security.token_file.empty()) {
    report("", ReadTokenFile(security).status());
  }
  if (security.tls.enabled()) {
    report("", CheckCertificateFiles(security.tls, absl::Now()).status());
  }
  return problems.status();
}

}  // namespace qlarank
