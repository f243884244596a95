#include "server/metrics/migration_metrics.h"

#include "server/metrics/metric_builders.h"

namespace qlarank {

MigrationMetrics::MigrationMetrics(prometheus::Registry& registry)
    : migrations_(CounterFamily(registry, "qlarank_migrations_total",
                                "Migrations of users' states to a model that "
                                "was loaded, by what became of them.")),
      begun(migrations_.Add({{"event", "begun"}})),
      done(migrations_.Add({{"event", "done"}})),
      failed(migrations_.Add({{"event", "failed"}})) {}

}  // namespace qlarank
