// A model that is served, as people and as scripts read it.
#ifndef QLARANK_CLI_MODEL_TEXT_H_
#define QLARANK_CLI_MODEL_TEXT_H_

#include <cstdint>
#include <map>
#include <ostream>
#include <string>

#include "nlohmann/json.hpp"
#include "qlarank/v1/model_admin_service.pb.h"
#include "qlarank/v1/model_service.pb.h"

namespace qlarank {

// What an enum says, in lower case; "unknown" of a newer server's.
std::string PrecisionText(v1::ScoringPrecision precision);
std::string ModelStateText(v1::ModelState state);
std::string ItemKeyTypeText(v1::ItemKeyType type);

// When it was loaded, to the second.
std::string LoadTimeText(const v1::Model& model);

// All but the schema.
nlohmann::json ModelToJson(const v1::Model& model);
nlohmann::json SchemaToJson(const v1::ModelSchema& schema);
nlohmann::json LimitsToJson(const v1::RequestLimits& limits);

// Labels that move by themselves, and the share of the users that they wait for.
nlohmann::json PendingToJson(
    const google::protobuf::RepeatedPtrField<v1::PendingLabel>& pending);
std::string ShareText(double share);

// In order of their names.
std::map<std::string, uint64_t> SortedLabels(const v1::ModelLabels& labels);

// Everything of one model, under headings.
void PrintModel(const v1::GetModelResponse& response, std::ostream& out);

}  // namespace qlarank

#endif  // QLARANK_CLI_MODEL_TEXT_H_
