#include "server/models/event_features.h"

#include <algorithm>
#include <utility>

namespace qlarank {

EventFeatures::EventFeatures(absl::Span<const Names> schemas,
                             const Names& wanted)
    : num_features_(wanted.size()) {
  for (const Names& names : schemas) {
    std::vector<size_t>& places = places_.emplace_back();
    if (names == wanted) continue;
    for (const std::string& feature : wanted) {
      const auto found = std::find(names.begin(), names.end(), feature);
      places.push_back(found == names.end() ? kMissing : found - names.begin());
    }
  }
}

absl::StatusOr<EventFeatures> EventFeatures::Of(
    const EventLog& store,
    const google::protobuf::RepeatedPtrField<std::string>& wanted) {
  const auto schemas = store.ListSchemas();
  if (!schemas.ok()) return schemas.status();
  return EventFeatures(*schemas, Names(wanted.begin(), wanted.end()));
}

absl::Span<const size_t> EventFeatures::Places(uint32_t number) const {
  const size_t schema = std::max<uint32_t>(number, 1) - 1;
  if (schema >= places_.size()) return {};
  return places_[schema];
}

bool EventFeatures::IsLackedBy(uint32_t number) const {
  const absl::Span<const size_t> places = Places(number);
  return std::find(places.begin(), places.end(), kMissing) != places.end();
}

void EventFeatures::Arrange(uint32_t number, std::vector<float>& values) const {
  const absl::Span<const size_t> places = Places(number);
  if (!places.empty()) {
    std::vector<float> arranged;
    arranged.reserve(num_features_);
    for (const size_t place : places) {
      arranged.push_back(place < values.size() ? values[place] : 0.0f);
    }
    values = std::move(arranged);
  }
  values.resize(num_features_);
}

}  // namespace qlarank
