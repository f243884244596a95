#include "server/rank/summary_encoding.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "absl/types/span.h"

namespace qlarank {
namespace {

constexpr float kLargestByte = 127;

// Appends the bytes of one summary and returns their scale; 0 for zeros.
float Quantize(absl::Span<const float> values, std::string& bytes) {
  float largest = 0;
  for (const float x : values) largest = std::max(largest, std::abs(x));
  const float scale = largest / kLargestByte;
  for (const float x : values) {
    const float steps = scale > 0 ? std::nearbyint(x / scale) : 0;
    bytes.push_back(
        static_cast<int8_t>(std::clamp(steps, -kLargestByte, kLargestByte)));
  }
  return scale;
}

}  // namespace

void EncodeSummary(const UserSummary& summary, size_t num_seeds,
                   v1::SummaryEncoding encoding,
                   v1::GetUserSummaryResponse& response) {
  const size_t width = summary.values.size() / num_seeds;
  response.set_num_seeds(num_seeds);
  response.set_width(width);
  if (encoding != v1::SUMMARY_ENCODING_INT8) {
    response.mutable_values()->Assign(summary.values.begin(),
                                      summary.values.end());
    return;
  }
  std::string& bytes = *response.mutable_quantized_values();
  bytes.reserve(summary.values.size());
  for (size_t seed = 0; seed < num_seeds; ++seed) {
    response.add_scales(Quantize(
        absl::MakeSpan(summary.values).subspan(seed * width, width), bytes));
  }
}

}  // namespace qlarank
