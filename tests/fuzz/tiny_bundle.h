// Bundles of any spec with tensors made up on the spot, so small that a fuzz
// target can make one for every input.
#ifndef QLARANK_TESTS_FUZZ_TINY_BUNDLE_H_
#define QLARANK_TESTS_FUZZ_TINY_BUNDLE_H_

#include <memory>
#include <string>
#include <vector>

#include "model/bundle.h"
#include "model/bundle_schema.h"
#include "qlarank/model/v1/model_spec.pb.h"

namespace qlarank::fuzz {

// A model that has everything but an item memory, as narrow as one can be: two layers, features of
// events and candidates, context, two tasks, seeds that candidates attend to.
model::v1::ModelSpec TinySpec();
// The same with an item memory.
model::v1::ModelSpec TinySpecWithMemory();

// The files of a bundle.
struct BundleFiles {
  std::string spec;  // model.textproto
  std::string weights;
  std::string items;
  std::string titles;
  std::string golden;  // golden.textproto; "": there is none
};

// A safetensors file of these tensors; their values follow from their names.
std::string MakeTensors(const std::vector<TensorSchema>& schema);

// Values in all tensors of the spec's bundle.
uint64_t NumValues(const model::v1::ModelSpec& spec);

// A sound bundle of the spec. REQUIRES: ValidateSpec(spec) is OK.
BundleFiles MakeFiles(const model::v1::ModelSpec& spec);

// Writes into `files.spec` a spec whose digests and fingerprint are those of
// the tensors and the golden requests in `files`, so that nothing but these
// themselves can be wrong. REQUIRES: ValidateSpec(spec) is OK.
void Seal(const model::v1::ModelSpec& spec, BundleFiles& files);

void Write(const BundleFiles& files, const std::string& folder);

// The spec's bundle, loaded.
std::shared_ptr<const Bundle> LoadTinyBundle(
    const model::v1::ModelSpec& spec = TinySpec());

}  // namespace qlarank::fuzz

#endif  // QLARANK_TESTS_FUZZ_TINY_BUNDLE_H_
