// SIGTERM and SIGINT as calls on an ordinary thread, where anything may be
// done, instead of interruptions in which hardly anything may.
//
//   int main() {
//     TerminationSignals::Block();  // before any thread is started
//     TerminationSignals signals([&](int signal) { ... });
#ifndef QLARANK_SERVER_OPS_TERMINATION_SIGNALS_H_
#define QLARANK_SERVER_OPS_TERMINATION_SIGNALS_H_

#include <functional>
#include <thread>

namespace qlarank {

class TerminationSignals {
 public:
  // Keeps the two signals from ending the process. Threads inherit this, so
  // call it while there is only one.
  static void Block();

  // Starts a thread that calls `on_signal` with each signal that arrives, one
  // after the other. REQUIRES: Block() has been called.
  explicit TerminationSignals(std::function<void(int)> on_signal);

  // Ends the thread; signals stay blocked.
  ~TerminationSignals();

  TerminationSignals(const TerminationSignals&) = delete;
  TerminationSignals& operator=(const TerminationSignals&) = delete;

 private:
  void Run();

  const std::function<void(int)> on_signal_;
  const int signal_file_;
  const int stop_file_;
  std::thread thread_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_OPS_TERMINATION_SIGNALS_H_
