// Where a model finds its event features in the log: by their names, never by
// their places. Each logged event carries the number of the schema, the list of
// names, that its values were appended under (EventLog::PutSchema); what a
// model declares under the same name is the same feature.
//
// A feature that a schema lacks is 0: the model was trained with it, and those
// who logged did not have it yet.
//
// Immutable, so safe to share.
#ifndef QLARANK_SERVER_MODELS_EVENT_FEATURES_H_
#define QLARANK_SERVER_MODELS_EVENT_FEATURES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "google/protobuf/repeated_field.h"
#include "state_store/event_log.h"

namespace qlarank {

class EventFeatures {
 public:
  using Names = std::vector<std::string>;

  // Of a model that declares `wanted`, over a log with these schemas, the first
  // of number 1.
  EventFeatures(absl::Span<const Names> schemas, const Names& wanted);
  // The same over the schemas of a store. Errors are those of ListSchemas.
  static absl::StatusOr<EventFeatures> Of(
      const EventLog& store,
      const google::protobuf::RepeatedPtrField<std::string>& wanted);

  // Puts the values of an event of schema `number` in the model's order. 0: an
  // event from before there were schemas, of the first.
  void Arrange(uint32_t number, std::vector<float>& values) const;
  // Whether events of schema `number` lack a feature of the model.
  bool IsLackedBy(uint32_t number) const;

 private:
  static constexpr size_t kMissing = SIZE_MAX;

  // The places of schema `number`; empty where they are the model's.
  absl::Span<const size_t> Places(uint32_t number) const;

  size_t num_features_;
  // By number - 1: for each of the model's features its place in the log; empty
  // where they are the same.
  std::vector<std::vector<size_t>> places_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_MODELS_EVENT_FEATURES_H_
