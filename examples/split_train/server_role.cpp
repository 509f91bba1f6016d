// SPDX-License-Identifier: MIT
#include "split_train/server_role.hpp"

#include <csignal>    // SIGTERM, kill
#include <cstdio>     // printf, fprintf
#include <memory>     // make_shared
#include <optional>   // optional
#include <stdexcept>  // invalid_argument, runtime_error
#include <string>     // string
#include <utility>    // exchange, move
#include <vector>     // vector

#include <sys/wait.h>  // waitpid
#include <unistd.h>    // fork, execv, pipe
#if defined(__linux__)
#include <sys/prctl.h>  // prctl
#endif

#include <splitvit/core/parallel.hpp>  // with_threads
#include <splitvit/optim/adam.hpp>     // AdamW
#include <splitvit/split/server.hpp>   // Server
#include <splitvit/split/service.hpp>  // Service
#include <splitvit/transport/tcp.hpp>  // TcpListener

#include "split_train/agreed.hpp"      // agreed_settings, started_part
#include "split_train/data.hpp"        // classes_of
#include "split_train/memory.hpp"      // peak_memory
#include "split_train/method.hpp"      // method_of
#include "split_train/schedule.hpp"    // schedule_of, schedule_setting
#include "split_train/server_log.hpp"  // ServerLog
#include "split_train/weights.hpp"     // weights_notes

namespace split_train {

namespace sv = splitvit;

namespace {

/// read(value) of what the client says of `key`.
///
/// Errors  WireError (refused) if it does not say it, or read() does not know the value.
auto said_by(const sv::wire::Hello& hello, const std::string& key, const auto& read) {
  for (const auto& setting : hello.settings) {
    if (setting.key != key) continue;
    try {
      return read(setting.value);
    } catch (const std::invalid_argument& error) {
      throw sv::WireError(sv::Reason::refused, std::string{"handshake refused: "} + error.what());
    }
  }
  throw sv::WireError(sv::Reason::refused,
                      "handshake refused: the client does not say '" + key + "'");
}

}  // namespace

int run_server(const Options& options) {
  Index classes = options.classes;
  if (classes == 0 && options.data != Options{}.data) classes = classes_of(options.data);
  if (classes == 0 && options.start) classes = options.start->sizes.classes;
  if (classes == 0) classes = classes_of(options.data);
  if (classes == 0) throw UsageError("a server for --data " + options.data + " needs --classes N");
  const sv::nn::VitConfig vit = options.vit(classes);
  const std::string& text = options.methods.front();
  const bool takes_any = takes_any_stage(text);
  const Method own = method_of(text);  // refuses a wrong text before anybody connects

  // Each client has a part of its own, which begins anew. The first is ready before anybody comes:
  // loading weights may take longer than a client waits.
  const auto start = [&](const Method& method) {
    return started_part(options, vit, options.cut, vit.depth, method).part;
  };
  std::optional<sv::nn::Part<float>> ready;
  if (!takes_any) ready = sv::with_threads(options.threads, [&] { return start(own); });
  const auto make_role = [&](const sv::wire::Hello& hello) {
    const Method method =
        takes_any ? said_by(hello, method_setting,
                            [&](const std::string& theirs) { return method_for(text, theirs); })
                  : own;
    const auto schedule = said_by(hello, schedule_setting, [&](const std::string& theirs) {
      return schedule_of(theirs, options.lr);
    });
    auto part = ready ? *std::exchange(ready, std::nullopt) : start(method);
    auto learner = std::make_shared<sv::split::Learner<float>>(
        std::move(part), sv::optim::AdamW{.lr = options.lr, .weight_decay = options.weight_decay},
        sv::split::TrainingOptions{.schedule = schedule});
    return sv::split::ServerRole<float>{std::move(learner),
                                        sv::split::CutReceiver<float>{method.codec, options.seed}};
  };
  sv::split::Server<float> server{
      make_role,
      {.seed = options.seed,
       .method = takes_any ? std::string{sv::wire::any_value} : own.stage.description(),
       .agreed = agreed_settings(options, sv::wire::any_value, sv::wire::any_value),
       .most_sessions = 8}};  // each takes the memory of a part and its optimiser

  if (options.start) {  // refuses weights that do not fit, too
    const std::string notes = weights_notes(options, classes);
    if (options.progress != "none")
      std::fprintf(stderr, "%s: %s\n", options.weights.c_str(), notes.c_str());
  }
  sv::transport::TcpListener listener{options.endpoint};
  ServerLog log{options.progress == "none"};
  sv::split::Service<float> service{
      server, {.on_event = [&](const std::string& peer, const sv::split::SessionEvent& event) {
        log.add(peer, event);
        if (options.sessions > 0 && log.finished() >= options.sessions) listener.close();
      }}};
  std::printf("listening on %s\n", listener.endpoint().text().c_str());
  std::fflush(stdout);
  sv::with_threads(options.threads, [&] {
    service.run(listener, [&] {
      log.answer_signal(service);
      return true;
    });
  });
  return 0;
}

namespace {

/// In the child: becomes this program again, with other arguments. Does not return.
[[noreturn]] void become(std::vector<std::string>& arguments, int out) {
#if defined(__linux__)
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  const char* const self = "/proc/self/exe";
#else
  const char* const self = "split_train";
#endif
  ::dup2(out, STDOUT_FILENO);
  ::close(out);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::execvp(self, argv.data());
  ::_exit(127);
}

}  // namespace

ServerProcess::ServerProcess(const Options& options, const std::string& method, Index classes) {
  std::vector<std::string> arguments = server_arguments(options, method, classes);
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("cannot make a pipe to the server process");
  process_ = ::fork();
  if (process_ == 0) {
    ::close(ends[0]);
    become(arguments, ends[1]);
  }
  ::close(ends[1]);
  std::string line;
  for (char c = 0; process_ > 0 && ::read(ends[0], &c, 1) == 1 && c != '\n';) line += c;
  ::close(ends[0]);
  const std::string expected = "listening on ";
  if (!line.starts_with(expected)) throw std::runtime_error("the server process did not start");
  endpoint_ = sv::transport::parse_endpoint(line.substr(expected.size()));
}

std::optional<std::uint64_t> ServerProcess::peak_memory() const {
  return split_train::peak_memory(std::to_string(process_));
}

ServerProcess::~ServerProcess() {
  if (process_ <= 0) return;
  // After a goodbye it is on its way out; otherwise it waits for messages that will not come.
  ::kill(process_, SIGTERM);
  ::waitpid(process_, nullptr, 0);
}

}  // namespace split_train
