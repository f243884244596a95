#include "model/engine.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "model/engine_impl.h"
#include "model/kernels.h"

namespace qlarank {
namespace {

// Counts changes of this code that change a state's last bits.
constexpr int kNumericsVersion = 1;

std::string NumericsTag() {
  return absl::StrCat("f32v", kNumericsVersion, "-", kernels::NumericsTag(),
                      "-", GemmNumericsTag());
}

std::vector<float> InverseNorms(absl::Span<const float> rows, size_t width) {
  std::vector<float> inverse;
  for (size_t i = 0; i < rows.size(); i += width) {
    double sum = 0;
    for (float x : rows.subspan(i, width)) sum += static_cast<double>(x) * x;
    inverse.push_back(1.0 / std::max(std::sqrt(sum), 1e-12));
  }
  return inverse;
}

}  // namespace

Engine::Impl::Impl(const Bundle& bundle)
    : spec(bundle.spec()),
      d_model(spec.d_model()),
      num_tasks(spec.tasks_size()),
      layout(spec),
      tokens(bundle),
      item_embedding(bundle.tensor("item_embedding")),
      item_bias(bundle.tensor("item_bias")),
      item_inverse_norm(InverseNorms(item_embedding, d_model)),
      norm_user(bundle.tensor("norm_user")) {
  if (HasDotTerm(spec)) dot_scale = std::exp(bundle.tensor("log_scale")[0]);
  if (!IsTargetAware(spec)) return;
  norm_cand = bundle.tensor("norm_cand");
  head_width = spec.head_width();
  head_b1 = bundle.tensor("head.b1");
  head_w2 = bundle.tensor("head.w2");
  head_b2 = bundle.tensor("head.b2");
}

absl::Status Engine::Impl::PackWeights(const Bundle& bundle) {
  for (size_t index = 0; index < NumStateLayers(spec); ++index) {
    auto layer = Layer::Create(bundle, index);
    if (!layer.ok()) return layer.status();
    if (index < spec.num_layers()) {
      layers.push_back(*std::move(layer));
    } else {
      dedicated_block = *std::move(layer);
    }
  }
  const auto pack = [&](const std::string& name, size_t out,
                        std::unique_ptr<const PackedMatrix>& matrix) {
    auto packed =
        PackedMatrix::Create(name, bundle.tensor(name), out, d_model,
                             PackedMatrix::Output::kOverwrite);
    if (packed.ok()) matrix = *std::move(packed);
    return packed.status();
  };
  absl::Status status = pack("w_user_out", d_model, w_user_out);
  if (IsTargetAware(spec)) {
    status.Update(pack("w_user_in", d_model, w_user_in));
    status.Update(pack("head.w1", num_tasks * head_width, head_w1));
  }
  return status;
}

std::vector<const PackedMatrix*> Engine::Impl::matrices() const {
  std::vector<const PackedMatrix*> all = {w_user_out.get()};
  if (w_user_in != nullptr) all.insert(all.end(), {w_user_in.get(), head_w1.get()});
  const auto add_layer = [&](const Layer& layer) {
    const auto of_layer = layer.matrices();
    all.insert(all.end(), of_layer.begin(), of_layer.end());
  };
  for (const auto& layer : layers) add_layer(*layer);
  if (dedicated_block != nullptr) add_layer(*dedicated_block);
  return all;
}

absl::Span<const std::unique_ptr<const Layer>>
Engine::Impl::candidate_layers() const {
  switch (spec.target_aware()) {
    case model::v1::TARGET_AWARE_ALL_LAYERS:
      return layers;
    case model::v1::TARGET_AWARE_DEDICATED_BLOCK:
      return {&dedicated_block, 1};
    default:
      return {};
  }
}

EngineScratch::EngineScratch(absl::Span<const PackedMatrix* const> matrices,
                             const model::v1::ModelSpec& spec)
    : gemm(matrices),
      tile(spec.d_model(), spec.ffn_width()),
      head_hidden(Engine::kTileRows * spec.tasks_size() * spec.head_width()) {}

Engine::Engine(std::shared_ptr<const Bundle> bundle)
    : bundle_(std::move(bundle)), impl_(std::make_unique<Impl>(*bundle_)) {}

Engine::~Engine() = default;

absl::StatusOr<std::unique_ptr<const Engine>> Engine::Create(
    std::shared_ptr<const Bundle> bundle) {
  auto engine = absl::WrapUnique(new Engine(std::move(bundle)));
  if (absl::Status status = engine->impl_->PackWeights(*engine->bundle_);
      !status.ok()) {
    return status;
  }
  if (!TileSizesAgree(engine->impl_->matrices())) {
    return absl::InternalError(
        "oneDNN gives a row other bits in another tile size on this "
        "processor: scores would depend on their neighbours");
  }
  engine->state_fingerprint_ =
      absl::StrCat(engine->bundle_->fingerprint(), ".", NumericsTag());
  auto empty = std::make_shared<UserState>();
  empty->values.resize(engine->impl_->layout.floats());
  engine->empty_state_ = std::move(empty);
  return engine;
}

size_t Engine::num_tasks() const { return impl_->num_tasks; }

std::unique_ptr<EngineScratch> Engine::NewScratch() const {
  return std::make_unique<EngineScratch>(impl_->matrices(), impl_->spec);
}

}  // namespace qlarank
