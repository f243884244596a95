#include "server/ops/termination_signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

namespace qlarank {
namespace {

sigset_t TheTwo() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

int SignalFile() {
  const sigset_t signals = TheTwo();
  return signalfd(-1, &signals, SFD_CLOEXEC);
}

}  // namespace

void TerminationSignals::Block() {
  const sigset_t signals = TheTwo();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

TerminationSignals::TerminationSignals(std::function<void(int)> on_signal)
    : on_signal_(std::move(on_signal)),
      signal_file_(SignalFile()),
      stop_file_(eventfd(0, EFD_CLOEXEC)),
      thread_([this] { Run(); }) {}

TerminationSignals::~TerminationSignals() {
  const uint64_t one = 1;
  while (write(stop_file_, &one, sizeof(one)) < 0) {
  }
  thread_.join();
  close(signal_file_);
  close(stop_file_);
}

void TerminationSignals::Run() {
  pollfd files[] = {{signal_file_, POLLIN, 0}, {stop_file_, POLLIN, 0}};
  while (true) {
    if (poll(files, 2, -1) < 0) continue;
    if (files[1].revents != 0) return;
    signalfd_siginfo signal;
    if (read(signal_file_, &signal, sizeof(signal)) == sizeof(signal)) {
      on_signal_(static_cast<int>(signal.ssi_signo));
    }
  }
}

}  // namespace qlarank
