// The bucket boundaries of every histogram, in one place so that quantities
// that are compared on one dashboard panel are cut alike.
#ifndef QLARANK_SERVER_METRICS_HISTOGRAM_BUCKETS_H_
#define QLARANK_SERVER_METRICS_HISTOGRAM_BUCKETS_H_

#include "absl/time/time.h"
#include "prometheus/histogram.h"

namespace qlarank {

// Seconds, 100 us to 10 s: work done for a caller.
inline prometheus::Histogram::BucketBoundaries LatencyBuckets() {
  return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.0075,
          0.01,   0.015,   0.02,   0.03,  0.05,   0.075, 0.1,
          0.25,   0.5,     1,      2.5,   5,      10};
}

// Seconds, 1 s to 30 days: how old something is.
inline prometheus::Histogram::BucketBoundaries AgeBuckets() {
  return {1,     5,     15,    60,     300,    900,     3600,
          14400, 43200, 86400, 259200, 604800, 1209600, 2592000};
}

// Seconds, 1 ms to 10 min: how far one part of the server is behind another.
inline prometheus::Histogram::BucketBoundaries LagBuckets() {
  return {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
          0.5,   1,      2.5,   5,    10,    30,   60,  600};
}

// A number of things handled together, 1 to 20,000.
inline prometheus::Histogram::BucketBoundaries CountBuckets() {
  return {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000};
}

// Observes a duration in a histogram of seconds. Takes the histogram's mutex:
// once a request is fine, once a candidate is not.
inline void ObserveSeconds(prometheus::Histogram& histogram,
                           absl::Duration duration) {
  histogram.Observe(absl::ToDoubleSeconds(duration));
}

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_HISTOGRAM_BUCKETS_H_
