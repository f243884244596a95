// Exported events as the CSV that `qlarank import` and the trainer read: user,
// item, action, time in seconds, and a column for each event feature. What was
// logged is read back as it was, times and features bit for bit.
//
// Thread-safe: pure functions.
#ifndef QLARANK_CLI_EXPORTED_CSV_H_
#define QLARANK_CLI_EXPORTED_CSV_H_

#include <string>
#include <vector>

#include "qlarank/v1/admin_service.pb.h"

namespace qlarank {

// The first line.
std::string ExportHeader(const std::vector<std::string>& event_features);

// Appends a line for each event.
void AppendExported(const v1::ExportedUser& user, std::string& csv);

}  // namespace qlarank

#endif  // QLARANK_CLI_EXPORTED_CSV_H_
