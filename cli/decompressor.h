// Unpacks what gzip, bzip2 or xz packed, piece by piece.
//
// One interface over zlib, libbz2 and liblzma, whose streams are alike. Not
// thread-safe.
#ifndef QLARANK_CLI_DECOMPRESSOR_H_
#define QLARANK_CLI_DECOMPRESSOR_H_

#include <cstddef>
#include <memory>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace qlarank {

class Decompressor {
 public:
  // Of the beginning of a file, as much as For() wants to see.
  static constexpr size_t kBeginningBytes = 10;

  // The one that unpacks a file that begins so; nullptr if none does.
  static std::unique_ptr<Decompressor> For(absl::string_view beginning);
  virtual ~Decompressor() = default;

  enum class Result { kMore, kEndOfMember, kDamaged };

  // Unpacks from the front of `input` to the front of `output`, and takes away
  // what it has used of each. kMore: there may be more output to be had, or
  // there was too little input. Behind kEndOfMember a new member can begin.
  virtual Result Run(absl::string_view& input, absl::Span<char>& output) = 0;

  // "gzip", "bzip2" or "xz".
  virtual absl::string_view name() const = 0;
};

}  // namespace qlarank

#endif  // QLARANK_CLI_DECOMPRESSOR_H_
