// Texts of strangers: whether they are UTF-8, and what a message shows of them.
#ifndef QLARANK_CLI_SHOWN_TEXT_H_
#define QLARANK_CLI_SHOWN_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"

namespace qlarank {

// Whether protobuf takes the text for a string: UTF-8, as RFC 3629 has it.
bool IsUtf8(absl::string_view text);

// What a message shows of a text: 100 bytes of it, UTF-8 as it is, and control
// characters and bytes that are none as \n or \xe9. The trainer shows the same
// (trainer/csv_rows.py).
std::string ShownText(absl::string_view text);

}  // namespace qlarank

#endif  // QLARANK_CLI_SHOWN_TEXT_H_
