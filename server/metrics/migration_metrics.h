// What is counted about migrations of users' states to a model. Thread-safe;
// handles live as long as the registry.
#ifndef QLARANK_SERVER_METRICS_MIGRATION_METRICS_H_
#define QLARANK_SERVER_METRICS_MIGRATION_METRICS_H_

#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/registry.h"

namespace qlarank {

class MigrationMetrics {
 private:
  prometheus::Family<prometheus::Counter>& migrations_;

 public:
  // `registry` must outlive this.
  explicit MigrationMetrics(prometheus::Registry& registry);

  // qlarank_migrations_total{event}: one that was begun and is neither done nor
  // failed runs, or was stopped with its model or the server.
  prometheus::Counter& begun;
  prometheus::Counter& done;
  prometheus::Counter& failed;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_MIGRATION_METRICS_H_
