// What somebody may have meant who mistyped a name.
#ifndef QLARANK_CLI_SUGGESTION_H_
#define QLARANK_CLI_SUGGESTION_H_

#include <string>
#include <vector>

namespace qlarank {

// The name that takes the fewest letters changed, added, left out or swapped
// to become `typed`; "" when that would be more than a third of it.
std::string Nearest(const std::string& typed,
                    const std::vector<std::string>& names);

}  // namespace qlarank

#endif  // QLARANK_CLI_SUGGESTION_H_
