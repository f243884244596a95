// A state as bytes: docs/storage.md, "The state's bytes".

#include "model/user_state.h"

#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "model/engine.h"
#include "model/engine_impl.h"

namespace qlarank {
namespace {

constexpr uint32_t kStateFormat = 2;
// The same with an item memory behind the values.
constexpr uint32_t kFormatWithMemory = 3;

// Little-endian, as every processor that we run on is.
struct StateHeader {
  uint32_t format = 0;
  uint32_t num_features = 0;
  uint64_t event_count = 0;
  uint32_t pending_item_row = 0;
  uint32_t pending_action = 0;
  int64_t pending_time_us = 0;
  int64_t predecessor_time_us = 0;
  uint64_t num_values = 0;
};
static_assert(sizeof(StateHeader) == 48, "no padding, or the format changes");

void AppendFloats(absl::Span<const float> floats, std::string& bytes) {
  bytes.append(reinterpret_cast<const char*>(floats.data()),
               floats.size() * sizeof(float));
}

void CopyFloats(const char* bytes, absl::Span<float> floats) {
  // memcpy wants no null, not even for nothing.
  if (floats.empty()) return;
  std::memcpy(floats.data(), bytes, floats.size() * sizeof(float));
}

}  // namespace

size_t UserState::size_bytes() const {
  return sizeof(*this) + pending_features.capacity() * sizeof(float) +
         values.size() * sizeof(float) + memory.size_bytes();
}

namespace {

uint32_t FormatOf(const ItemMemory& memory) {
  return memory.entries() > 0 ? kFormatWithMemory : kStateFormat;
}

}  // namespace

std::string Engine::SerializeState(const UserState& state) const {
  StateHeader header;
  header.format = FormatOf(impl_->memory);
  header.num_features = state.pending_features.size();
  header.event_count = state.event_count;
  header.pending_item_row = state.pending_item_row;
  header.pending_action = state.pending_action;
  header.pending_time_us = state.pending_time_us;
  header.predecessor_time_us = state.predecessor_time_us;
  header.num_values = state.values.size();
  std::string bytes;
  bytes.reserve(sizeof(header) +
                (header.num_features + header.num_values) * sizeof(float) +
                impl_->memory.num_bytes());
  bytes.append(reinterpret_cast<const char*>(&header), sizeof(header));
  AppendFloats(state.pending_features, bytes);
  AppendFloats(state.values, bytes);
  impl_->memory.Append(state.memory, bytes);
  return bytes;
}

absl::StatusOr<std::shared_ptr<const UserState>> Engine::ParseState(
    absl::string_view bytes) const {
  const auto damaged = [](auto&&... what) {
    return absl::DataLossError(absl::StrCat("user state: ", what...));
  };
  StateHeader header;
  if (bytes.size() < sizeof(header)) {
    return damaged(bytes.size(), " bytes are too few for a header");
  }
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (const uint32_t format = FormatOf(impl_->memory);
      header.format != format) {
    return damaged("format ", header.format, "; expected ", format);
  }
  const size_t features =
      header.event_count == 0 ? 0 : impl_->spec.event_features_size();
  const size_t values = impl_->layout.floats();
  if (header.num_features != features || header.num_values != values) {
    return damaged(header.num_features, " features and ", header.num_values,
                   " values; the model has ", features, " and ", values);
  }
  const size_t memory_at = sizeof(header) + (features + values) * sizeof(float);
  if (bytes.size() != memory_at + impl_->memory.num_bytes()) {
    return damaged(bytes.size(), " bytes for ", values, " values and ",
                   impl_->memory.entries(), " entries");
  }
  const size_t rows = impl_->catalogue->num_rows();
  const size_t actions = impl_->spec.actions_size();
  if (header.pending_item_row >= rows ||
      (header.pending_action >= actions &&
       header.pending_action != Bundle::kUnknownAction)) {
    return damaged("pending item row ", header.pending_item_row, ", action ",
                   header.pending_action, "; the model has ", rows, " and ",
                   actions);
  }

  auto memory = impl_->memory.Parse(bytes.substr(memory_at), rows,
                                    header.event_count);
  if (!memory.ok()) return damaged(memory.status().message());

  auto state = std::make_shared<UserState>();
  state->event_count = header.event_count;
  state->pending_item_row = header.pending_item_row;
  state->pending_action = header.pending_action;
  state->pending_time_us = header.pending_time_us;
  state->predecessor_time_us = header.predecessor_time_us;
  state->pending_features.resize(features);
  state->values = StateVector(values);
  state->memory = *std::move(memory);
  const char* floats = bytes.data() + sizeof(header);
  CopyFloats(floats, absl::MakeSpan(state->pending_features));
  CopyFloats(floats + features * sizeof(float), absl::MakeSpan(state->values));
  if (!AllFinite(state->pending_features) || !AllFinite(state->values)) {
    return damaged("a value is not finite");
  }
  return state;
}

}  // namespace qlarank
