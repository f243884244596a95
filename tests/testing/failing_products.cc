#include "tests/testing/failing_products.h"

#include <algorithm>
#include <limits>

#include "model/product.h"

namespace qlarank::testing {
std::atomic<bool> products_fail = false;
std::atomic<bool> bf16_products_fail = false;
}  // namespace qlarank::testing

// Takes the place of kernels::MultiplyWeights (the linker's --wrap, see
// tests/testing/CMakeLists.txt), which cannot fail but overflows.
#define QLARANK_PRODUCT \
  _ZN7qlarank7kernels15MultiplyWeightsERKNS0_7ProductEPKfmPfm
#define QLARANK_PASTE(a, b) a##b
#define QLARANK_JOIN(a, b) QLARANK_PASTE(a, b)
extern "C" {
void QLARANK_JOIN(__real_,
                  QLARANK_PRODUCT)(const qlarank::kernels::Product& product,
                                   const float* x, size_t rows, float* y,
                                   size_t y_stride);
void QLARANK_JOIN(__wrap_,
                  QLARANK_PRODUCT)(const qlarank::kernels::Product& product,
                                   const float* x, size_t rows, float* y,
                                   size_t y_stride) {
  QLARANK_JOIN(__real_, QLARANK_PRODUCT)(product, x, rows, y, y_stride);
  if (!qlarank::testing::products_fail) return;
  for (size_t row = 0; row < rows; ++row) {
    std::fill_n(y + row * y_stride, product.columns,
                std::numeric_limits<float>::quiet_NaN());
  }
}
}
