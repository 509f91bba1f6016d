// SPDX-License-Identifier: MIT
#include "split_train/server_log.hpp"

#include <csignal>  // sigaction, sig_atomic_t, SIGUSR1
#include <cstdio>   // fflush, fprintf, snprintf
#include <utility>  // exchange

#include <splitvit/core/text.hpp>  // counted

#include "split_train/now.hpp"  // now_text

namespace split_train {

namespace sv = splitvit;

namespace {

volatile std::sig_atomic_t is_asked = 0;

/// The first eight digits of an id. Whoever knows all of it can take over the session, so it is not
/// printed.
std::string session_text(const sv::wire::SessionId& id) {
  char text[32];
  std::snprintf(text, sizeof text, "session %08x", static_cast<unsigned>(id[0] >> 32));
  return text;
}

void print(std::FILE* to, const std::string& line) {
  std::fprintf(to, "%s %s\n", now_text().c_str(), line.c_str());
  std::fflush(to);
}

}  // namespace

ServerLog::ServerLog(bool quiet) : quiet_{quiet} {
  struct sigaction action{};
  action.sa_handler = [](int) { is_asked = 1; };
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGUSR1, &action, nullptr);
}

void ServerLog::add(const std::string& peer, const sv::split::SessionEvent& event) {
  using Kind = sv::split::SessionEvent::Kind;
  if (event.kind == Kind::refused)
    return print(stderr, (peer.empty() ? "" : peer + ": ") + event.reason);
  const std::string who = peer + ", " + session_text(event.id) + ": ";
  const std::string after = " after " + sv::counted(event.step, "step");
  if (event.kind == Kind::lost) return print(stderr, who + "lost" + after + ": " + event.reason);
  if (event.kind == Kind::ended) ++finished_;
  if (quiet_) return;
  print(stdout, who + (event.kind == Kind::began     ? "connected"
                       : event.kind == Kind::resumed ? "resumed" + after
                                                     : "finished" + after));
}

void ServerLog::answer_signal(sv::split::Service<float>& service) const {
  if (std::exchange(is_asked, 0) == 0) return;
  const auto served = service.served();
  if (served.empty()) print(stdout, "nobody is served");
  for (const auto& one : served)
    print(stdout, "serving " + one.peer + ", " + session_text(one.id) + ": " +
                      sv::counted(one.step, "step"));
}

}  // namespace split_train
