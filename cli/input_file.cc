#include "cli/input_file.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <streambuf>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/decompressor.h"

namespace qlarank {
namespace {

constexpr size_t kPieceBytes = 256 << 10;

}  // namespace

// The unpacked bytes of a stream. It says so when they are damaged: to who
// reads, they come to an end.
class InputFile::Unpacking : public std::streambuf {
 public:
  Unpacking(std::istream& packed, std::unique_ptr<Decompressor> decompressor)
      : packed_(packed), decompressor_(std::move(decompressor)) {}

  uint64_t bytes_taken() const { return bytes_taken_; }
  bool damaged() const { return damaged_; }
  absl::string_view format() const { return decompressor_->name(); }
  // Is told when the bytes turn out to be damaged.
  void SetReader(std::istream* reader) { reader_ = reader; }

 protected:
  int_type underflow() override {
    absl::Span<char> room = absl::MakeSpan(output_);
    while (!damaged_ && room.size() == output_.size()) {
      if (rest_.empty() && !full_ && !TakeMore()) break;
      switch (decompressor_->Run(rest_, room)) {
        case Decompressor::Result::kMore:
          inside_member_ = true;
          break;
        case Decompressor::Result::kEndOfMember:
          inside_member_ = false;
          SkipPadding();
          break;
        case Decompressor::Result::kDamaged:
          damaged_ = true;
      }
      full_ = room.empty();
    }
    const size_t size = output_.size() - room.size();
    if (size == 0) {
      if (damaged_) reader_->setstate(std::ios::badbit);
      return traits_type::eof();
    }
    setg(output_.data(), output_.data(), output_.data() + size);
    return traits_type::to_int_type(output_.front());
  }

 private:
  // More of what is packed into rest_; false at its end.
  bool TakeMore() {
    do {
      packed_.read(input_.data(), static_cast<std::streamsize>(input_.size()));
      rest_ = absl::string_view(input_.data(),
                                static_cast<size_t>(packed_.gcount()));
      bytes_taken_ += rest_.size();
      if (rest_.empty()) {
        damaged_ = inside_member_;
        return false;
      }
      SkipPadding();
    } while (rest_.empty());
    return true;
  }

  // Zeros may follow a member.
  void SkipPadding() {
    if (inside_member_) return;
    rest_.remove_prefix(std::min(rest_.find_first_not_of('\0'), rest_.size()));
  }

  std::istream& packed_;
  std::unique_ptr<Decompressor> decompressor_;
  std::istream* reader_ = nullptr;
  std::vector<char> input_ = std::vector<char>(kPieceBytes);
  std::vector<char> output_ = std::vector<char>(kPieceBytes);
  absl::string_view rest_;  // of input_
  uint64_t bytes_taken_ = 0;
  bool full_ = false;  // all of output_ was filled: there may be more to come
  bool inside_member_ = false;
  bool damaged_ = false;
};

absl::StatusOr<std::unique_ptr<InputFile>> InputFile::Open(
    const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::error_code error;
  if (!file || std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat("cannot read ", path));
  }
  return std::unique_ptr<InputFile>(new InputFile(path, std::move(file)));
}

InputFile::InputFile(std::string path, std::ifstream file)
    : path_(std::move(path)), file_(std::move(file)) {
  std::error_code error;
  // A pipe can be read only once: nobody looks at its beginning first.
  if (!std::filesystem::is_regular_file(path_, error)) return;
  size_bytes_ = std::filesystem::file_size(path_, error);
  std::array<char, Decompressor::kBeginningBytes> beginning;
  file_.read(beginning.data(), beginning.size());
  std::unique_ptr<Decompressor> decompressor = Decompressor::For(
      {beginning.data(), static_cast<size_t>(file_.gcount())});
  file_.clear();
  file_.seekg(0);
  if (decompressor == nullptr) return;
  unpacking_ = std::make_unique<Unpacking>(file_, std::move(decompressor));
  unpacked_ = std::make_unique<std::istream>(unpacking_.get());
  unpacking_->SetReader(unpacked_.get());
}

InputFile::~InputFile() = default;

uint64_t InputFile::bytes_taken() const { return unpacking_->bytes_taken(); }

absl::Status InputFile::status() const {
  if (!unpacking_ || !unpacking_->damaged()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(path_, ": compressed by ", unpacking_->format(),
                   ", but cut short or damaged: fetch or make it again"));
}

std::string NameWithoutCompression(const std::string& name) {
  for (absl::string_view ending : {".gz", ".bz2", ".xz"}) {
    if (absl::EndsWith(name, ending)) {
      return std::string(absl::StripSuffix(name, ending));
    }
  }
  return name;
}

}  // namespace qlarank
