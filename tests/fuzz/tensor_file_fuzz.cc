// Any bytes are a safetensors file or an error that names it, and what is read
// lies within the file.
#include <cstring>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "model/bundle_schema.h"
#include "model/tensor_file.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/tiny_bundle.h"

namespace qlarank::fuzz {
namespace {

void CheckTensors(const TensorFile& file) {
  for (const auto& [name, tensor] : file.tensors()) {
    Check(tensor.bytes.empty() ||
              (tensor.bytes.data() >= file.contents().data() &&
               tensor.bytes.data() + tensor.bytes.size() <=
                   file.contents().data() + file.contents().size()),
          "a tensor lies within its file");
    const size_t value = tensor.dtype == DType::kF32 ? 4 : 8;
    Check(tensor.bytes.size() % value == 0, "a tensor has whole values");
    if (tensor.dtype == DType::kF32) {
      for (volatile const float x : tensor.floats()) (void)x;
    } else {
      for (volatile const uint64_t x : tensor.u64s()) (void)x;
    }
    Check(!tensor.ShapeString().empty(), "a shape can be told");
  }
}

const BundleSchema& Schema() {
  static const auto* const schema = new BundleSchema(SchemaOf(TinySpec()));
  return *schema;
}

}  // namespace

std::vector<std::string> Seeds() {
  // Few tensors are enough: the rest of a bundle's are more of the same.
  const std::vector<TensorSchema> some(Schema().weights.begin(),
                                       Schema().weights.begin() + 2);
  const std::vector<TensorSchema> odd = {
      {"scalar", DType::kF32, {}, false}, {"none", DType::kF32, {0, 3}, false}};
  return {MakeTensors(Schema().items), MakeTensors(some), MakeTensors(odd),
          MakeTensors({})};
}

}  // namespace qlarank::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace fuzz = qlarank::fuzz;
  // Exactly as long as the input, so that a byte beyond it is noticed; new
  // aligns it to 8 bytes.
  const std::unique_ptr<char[]> bytes(new char[size]);
  if (size > 0) std::memcpy(bytes.get(), data, size);
  const auto file = qlarank::TensorFile::Parse({bytes.get(), size}, "FILE");
  if (!file.ok()) {
    fuzz::Check((absl::IsDataLoss(file.status()) ||
                 absl::IsInvalidArgument(file.status())) &&
                    absl::StartsWith(file.status().message(), "FILE: "),
                "what is no tensor file is refused by name");
    return 0;
  }
  fuzz::CheckTensors(**file);
  (void)qlarank::ValidateTensors(**file, fuzz::Schema().items);
  return 0;
}
