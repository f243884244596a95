// Texts as gzip, bzip2 and xz pack them.
#ifndef QLARANK_TESTS_CLI_PACKED_H_
#define QLARANK_TESTS_CLI_PACKED_H_

#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>

#include <string>

namespace qlarank {

inline std::string Gzipped(std::string text) {
  std::string packed(text.size() + 1'000, '\0');
  z_stream stream = {};
  deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8,
               Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(text.data());
  stream.avail_in = static_cast<unsigned int>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<unsigned int>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(packed.size() - stream.avail_out);
  deflateEnd(&stream);
  return packed;
}

inline std::string Bzipped2(std::string text) {
  auto size = static_cast<unsigned int>(text.size() + text.size() / 50 + 1'000);
  std::string packed(size, '\0');
  BZ2_bzBuffToBuffCompress(packed.data(), &size, text.data(),
                           static_cast<unsigned int>(text.size()), 9, 0, 0);
  packed.resize(size);
  return packed;
}

inline std::string Xzipped(std::string text) {
  size_t size = 0;
  std::string packed(lzma_stream_buffer_bound(text.size()), '\0');
  lzma_easy_buffer_encode(
      6, LZMA_CHECK_CRC64, nullptr,
      reinterpret_cast<const uint8_t*>(text.data()), text.size(),
      reinterpret_cast<uint8_t*>(packed.data()), &size, packed.size());
  packed.resize(size);
  return packed;
}

}  // namespace qlarank

#endif  // QLARANK_TESTS_CLI_PACKED_H_
