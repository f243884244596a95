// A StateInfo as people and as scripts read it.
#ifndef QLARANK_CLI_STATE_TEXT_H_
#define QLARANK_CLI_STATE_TEXT_H_

#include <string>

#include "nlohmann/json.hpp"
#include "qlarank/v1/rank_service.pb.h"

namespace qlarank {

// "612 events, newest 2017-11-20T18:03:00Z", or "empty: no events".
std::string StateToText(const v1::StateInfo& state);
nlohmann::json StateToJson(const v1::StateInfo& state);

}  // namespace qlarank

#endif  // QLARANK_CLI_STATE_TEXT_H_
