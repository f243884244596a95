// The vector kernels between the matrix products, for whichever instruction set
// the processor has (Highway picks at run time). Rows are row-major and one
// after another; every row is computed by the same sequence of operations
// whatever stands beside it, so its bits do not depend on the tile.
//
// Widths are multiples of 8. Formulas: docs/model.md section 3.
#ifndef QLARANK_MODEL_KERNELS_H_
#define QLARANK_MODEL_KERNELS_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace qlarank::kernels {

// Heads of one layer, as the attention kernels see them.
struct HeadShape {
  size_t num_heads;
  size_t head_width;
};

// out = RMSNorm(x; weight), [rows, width].
void RmsNorm(const float* x, const float* weight, size_t rows, size_t width,
             float* out);

// out = RMSNorm(x; weight) * scale + shift: norm and convolution of a
// candidate, whose window is the same for all. scale and shift [width].
void RmsNormScaleShift(const float* x, const float* weight, const float* scale,
                       const float* shift, size_t rows, size_t width,
                       float* out);

// out += a * b, element-wise, [width].
void MultiplyAdd(const float* a, const float* b, size_t width, float* out);

// An event's convolution and what its window becomes, the newest first:
//   mixed = conv_0 n + sum_{i>=1} conv_i window_{i-1}, the oldest first
//   after_0 = n, after_i = window_{i-1}.  after may be window.
// conv [conv_width, width]; window and after [conv_width - 1, width].
void MixWindow(const float* conv, const float* n, const float* window,
               size_t conv_width, size_t width, float* after, float* mixed);

// out = sum_i scales_i rows_i, in order, [width].
void SumOfRows(const float* const* rows, const float* scales, size_t num_rows,
               size_t width, float* out);

// out += scale * a, [width].
void ScaleAdd(float scale, const float* a, size_t width, float* out);

// out += sum_i scales_i rows_i, in order, [width]; rows [num_rows, width].
void AddScaledRows(const float* scales, const float* rows, size_t num_rows,
                   size_t width, float* out);

// Whether none of the values is infinite or not a number, [size].
bool AllFinite(const float* values, size_t size);

// <a, b>, [width].
float Dot(const float* a, const float* b, size_t width);

// out = x * scale, element-wise, [rows, width]; scale [width].
void ScaleColumns(const float* x, const float* scale, size_t rows, size_t width,
                  float* out);

// What is known of every item (model/item_table.h): its embedding [items,
// width] and its share of the first layer [items, 4 width], both in float32 or
// both in bfloat16; shares may be null. Embeddings may be in two parts, the
// second with those of the rows from `first_added` on.
struct ItemRows {
  const void* embedding;
  const void* added_embedding;
  size_t first_added;
  const void* shares;
  bool bf16;
};

// A tile of candidates; what is known of them is fetched ahead.
struct CandidateItems {
  ItemRows known;
  const uint32_t* rows;  // [count]
  size_t count;
};

// Candidates' tokens without their features, and their share of the dot term:
//   x = scale * item + shared, [count, width];  dots = <user, item>, [count].
void CandidateRows(const CandidateItems& items, float scale,
                   const float* shared, const float* user, size_t width,
                   float* x, float* dots);

// out = item * scale, element-wise, [count, width]; scale [width].
void ScaledItems(const CandidateItems& items, const float* scale, size_t width,
                 float* out);

// q, k, v and g of candidates in the first layer:
//   s = scale * item's share + shared + sum_j f_j feature_shares_j
//       + sum_j fact_j fact_shares_j
//   qkvg = s / RMS(x) + shift, and of q, k and g the SiLU.  [count, 4 width]
// Items' shares are those that are known, or else come in qkvg.
struct QkvgShares {
  float scale;
  const float* shared;          // [4 width]
  const float* shift;           // [4 width]
  const float* feature_shares;  // [num_features, 4 width]
  size_t num_features;
  const float* fact_shares;  // [num_facts, 4 width]
  size_t num_facts;
};
// What the shares are multiplied by: features [count, num_features]; facts
// [count] times [num_facts] or null, of candidates that have none. `facts` may
// itself be null, if nobody has.
struct QkvgFactors {
  const float* features;
  const float* const* facts;
};
void CandidateQkvg(const CandidateItems& items, const QkvgShares& shares,
                   const QkvgFactors& factors, const float* x, size_t width,
                   float* qkvg);

// The dots alone, where no token is made of the items.
void ItemDots(const CandidateItems& items, const float* user, size_t width,
              float* dots);

// x = SiLU(x) in place, [rows, width], the rows `stride` apart.
void SiluRows(size_t rows, size_t width, size_t stride, float* x);

// out = p * SiLU(r) for rows [p r] of 2 width: the gated feed-forward.
void GatedSilu(const float* pr, size_t rows, size_t width, float* out);

// out = phi2-ready readout: scale * z, or SiLU(scale * z), [size].
void Readout(const float* z, float scale, bool silu, size_t size, float* out);

// Candidates: rows [q k v g] of 4 d, SiLU applied to q, k and g, read one
// shared readout per head ([num_heads, head_width, head_width], rows: key) and
// themselves:
//   out = RMSNorm(q . readout + beta <q, k> v; norm_head) * g.  out [rows, d].
void AttendShared(const float* qkvg, const float* readout, const float* beta,
                  const float* norm_head, HeadShape heads, size_t rows,
                  float* out);

// Candidates attend to the summaries of their user (docs/model.md section 8):
// rows q [rows, d]; keys [num_heads, head_width, num_seeds], transposed so that
// a vector holds several seeds; values [num_heads, num_seeds, head_width].
//   out = softmax over seeds of <q, key> / sqrt(head_width), times values
// per head. num_seeds is a multiple of 8, at most 1024. out [rows, d].
struct SummaryHeads {
  const float* keys;
  const float* values;
  size_t num_seeds;
};
void AttendSummaries(const float* q, const SummaryHeads& summary,
                     HeadShape heads, size_t rows, float* out);

// What a layer's heads have forgotten, [num_heads] each but for padding.
struct HeadDecay {
  const double* rate;          // lambda = exp(-rate), padded to whole vectors
  const double* inverse_loss;  // 1 / (1 - lambda), or 0 at a rate of 0; padded
  const double* alpha;         // padded
};
// What `rate`, `inverse_loss`, `alpha` and `scales` are padded to.
inline constexpr size_t kHeadPadding = 8;

// exp(x) for |x| <= 64, and the same of many, [size], a multiple of
// kHeadPadding.
double Exp(double x);
void ExpAll(const double* x, size_t size, double* out);

// The natural logarithm of x > 0 that is not subnormal; and of many, likewise.
double Log(double x);
void LogAll(const double* x, size_t size, double* out);

// 1 - exp(-rate), to double's digits however small the rate, [size], padded.
void Losses(const double* rates, size_t size, double* losses);

// alpha / max(c, 1) with the decayed count after n events, in closed form:
//   c = (1 - lambda^n) / (1 - lambda), or n at a rate of 0.
// scales [num_heads], padded.
void ReadoutScales(const HeadDecay& decay, size_t num_heads, uint64_t n,
                   float* scales);

// An event: the same as AttendShared for one row with its own state z
// [num_heads, head_width, head_width], of which it reads scales * z, or
// SiLU(scales * z) where `silu_phi2`; and the fold
//   after = z - loss z + k^T v.  after may be z.
struct EventLayer {
  const float* beta;       // [num_heads]
  const float* loss;       // [num_heads], 1 - lambda
  const float* norm_head;  // [d]
  bool silu_phi2;
};
void AttendAndFold(const float* qkvg, const EventLayer& layer,
                   const float* scales, HeadShape heads, const float* z,
                   float* after, float* out);

// Only the fold, from a row [k v] of 2 d, SiLU applied to k.
void FoldOnly(const float* kv, const float* loss, HeadShape heads,
              const float* z, float* after);

// The head's hidden layer to its logit: sum_i w2_i SiLU(h_i + b1_i), [width].
float HeadLogit(const float* hidden, const float* b1, const float* w2,
                size_t width);

// Names the instruction set in use, for instance "AVX3".
std::string TargetName();

}  // namespace qlarank::kernels

#endif  // QLARANK_MODEL_KERNELS_H_
