// SPDX-License-Identifier: MIT
#include "split_train/interruption.hpp"

#include <array>        // array
#include <atomic>       // atomic
#include <cstdlib>      // _Exit
#include <string_view>  // string_view
#include <utility>      // move

#include <signal.h>  // pthread_kill, pthread_sigmask, sigaction, sigwait
#include <unistd.h>  // _exit, write

namespace split_train {

namespace {

constexpr std::array stopping{SIGINT, SIGTERM};

std::atomic<int> came{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler uses it");

extern "C" void remember(int signal) {
  int none = 0;
  if (!came.compare_exchange_strong(none, signal)) ::_exit(128 + signal);
}

std::atomic<bool> has_checkpoints{false};

extern "C" void end_now(int signal) {
  constexpr std::string_view without =
      "split_train: stopped; nothing is kept without --out or --checkpoint\n";
  constexpr std::string_view with =
      "split_train: stopped; the same command with --resume goes on from the beginning of the "
      "round\n";
  const std::string_view text = has_checkpoints ? with : without;
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
  ::_exit(128 + signal);
}

bool is_ignored(int signal) {
  struct sigaction present{};
  return ::sigaction(signal, nullptr, &present) == 0 && present.sa_handler == SIG_IGN;
}

void handle_by(void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  for (const int signal : stopping)
    if (!is_ignored(signal)) ::sigaction(signal, &action, nullptr);
}

}  // namespace

void remember_signals() { handle_by(remember); }

void end_at_signals(bool are_kept) {
  has_checkpoints = are_kept;
  handle_by(end_now);
}

int signal_that_came() { return came; }

sigset_t SignalWatch::blocked_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, wake);
  for (const int signal : stopping)
    if (!is_ignored(signal)) ::sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // in all threads that begin later, too
  return signals;
}

SignalWatch::SignalWatch(std::function<void(int signal)> action)
    : signals_{blocked_signals()}, action_{std::move(action)}, thread_{[this] {
        int signal = wake;
        while (signal == wake && !is_over_) ::sigwait(&signals_, &signal);
        if (signal == wake) return;
        ::pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);  // a second one ends the process
        action_(signal);
        std::_Exit(128 + signal);
      }} {}

SignalWatch::~SignalWatch() {
  is_over_ = true;
  ::pthread_kill(thread_.native_handle(), wake);
}

}  // namespace split_train
