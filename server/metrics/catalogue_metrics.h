// What becomes of items that come and go. The names are explained in
// docs/operations.md. Thread-safe.
#ifndef QLARANK_SERVER_METRICS_CATALOGUE_METRICS_H_
#define QLARANK_SERVER_METRICS_CATALOGUE_METRICS_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/registry.h"

namespace qlarank {

class CatalogueMetrics {
 private:
  prometheus::Family<prometheus::Counter>& items_;
  prometheus::Family<prometheus::Gauge>& added_rows_;

 public:
  // `registry` must outlive this.
  explicit CatalogueMetrics(prometheus::Registry& registry);

  // qlarank_catalogue_version
  prometheus::Gauge& version;
  // qlarank_catalogue_max_added_rows: of catalogue.max_added_items.
  prometheus::Gauge& max_added_rows;

  // qlarank_catalogue_items_total{result}: of upserts and removals.
  prometheus::Counter& upserted;
  prometheus::Counter& removed;
  prometheus::Counter& unchanged;
  prometheus::Counter& refused;

  // qlarank_catalogue_added_rows{model, version}; until it is told that there are
  // none any more, because the model is not loaded any more.
  prometheus::Gauge& AddedRows(absl::string_view model, uint64_t version);
  void NoRows(prometheus::Gauge& of_model) { added_rows_.Remove(&of_model); }
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_CATALOGUE_METRICS_H_
