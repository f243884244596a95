// What a model takes of memory when it is loaded, whatever is in demand.
#ifndef QLARANK_SERVER_MODELS_BUNDLE_BYTES_H_
#define QLARANK_SERVER_MODELS_BUNDLE_BYTES_H_

#include <cstdint>

#include "config/server_options.h"

namespace qlarank {

// The bundle's files as they are on the disk, which are read into memory, and
// what is made of its items; one that is missing counts nothing: loading it will
// say so.
uint64_t BundleBytes(const ModelOptions& model);

}  // namespace qlarank

#endif  // QLARANK_SERVER_MODELS_BUNDLE_BYTES_H_
