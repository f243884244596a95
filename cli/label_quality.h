// How good and how honest predictions of a label are: whether a video that was
// shown is clicked, say. trainer/click_metrics.py computes the same.
#ifndef QLARANK_CLI_LABEL_QUALITY_H_
#define QLARANK_CLI_LABEL_QUALITY_H_

#include <cstdint>
#include <vector>

namespace qlarank {

struct LabelledLogit {
  float logit;  // a number: not NaN
  bool label;
};

// NaN where a figure is not defined.
struct LabelQuality {
  uint64_t labels;
  // The share of labels that are 1. NaN without any.
  double rate;
  // The chance that a 1 has a higher logit than a 0; a tie counts for half. NaN
  // without a 1 and a 0.
  double auc;
  // Log loss over that of always predicting the rate (He et al. 2014): below 1
  // is better. NaN if all labels are equal.
  double normalised_entropy;
  // Predicted over observed ones: 1 is right on average. NaN without a 1.
  double calibration;
};

LabelQuality MeasureLabels(std::vector<LabelledLogit> predictions);

}  // namespace qlarank

#endif  // QLARANK_CLI_LABEL_QUALITY_H_
