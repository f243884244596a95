// What logs say instead of a user's id: the same for the same user for as long
// as the process lives, and nothing that the id can be had from. A plain hash
// would not do: whoever has a list of ids could hash them all. Thread-safe.
#ifndef QLARANK_SERVER_OPS_USER_LABEL_H_
#define QLARANK_SERVER_OPS_USER_LABEL_H_

#include <string>

#include "absl/strings/string_view.h"

namespace qlarank {

// "u-" and 16 hex digits: HMAC-SHA-256 of the id, cut short, under a random key
// that is this process's own and is told nobody.
std::string UserLabel(absl::string_view user_id);

// `text` with labels in place of ids, which our messages write as
//   user "ann"   and   user_id: "ann"
// The logs pass every text through this.
std::string WithUserLabels(absl::string_view text);

}  // namespace qlarank

#endif  // QLARANK_SERVER_OPS_USER_LABEL_H_
