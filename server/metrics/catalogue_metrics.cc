#include "server/metrics/catalogue_metrics.h"

#include "absl/strings/str_cat.h"
#include "server/metrics/metric_builders.h"

namespace qlarank {

CatalogueMetrics::CatalogueMetrics(prometheus::Registry& registry)
    : items_(CounterFamily(registry, "qlarank_catalogue_items_total",
                           "Items that were upserted or removed, by result.")),
      added_rows_(GaugeFamily(registry, "qlarank_catalogue_added_rows",
                              "Rows that a model was added while served.")),
      version(PlainGauge(registry, "qlarank_catalogue_version",
                         "Upserts and removals of items so far.")),
      max_added_rows(PlainGauge(registry, "qlarank_catalogue_max_added_rows",
                                "Rows that a model may be added.")),
      upserted(items_.Add({{"result", "upserted"}})),
      removed(items_.Add({{"result", "removed"}})),
      unchanged(items_.Add({{"result", "unchanged"}})),
      refused(items_.Add({{"result", "refused"}})) {}

prometheus::Gauge& CatalogueMetrics::AddedRows(absl::string_view model,
                                               uint64_t version) {
  return added_rows_.Add(
      {{"model", std::string(model)}, {"version", absl::StrCat(version)}});
}

}  // namespace qlarank
