// SPDX-License-Identifier: MIT
#include "split_train/server_role.hpp"

#include <chrono>      // milliseconds, seconds
#include <csignal>     // SIGINT, SIGKILL, SIGTERM, kill, signal
#include <cstdio>      // printf, fprintf
#include <functional>  // function
#include <memory>      // make_shared
#include <mutex>       // lock_guard, mutex
#include <optional>    // optional
#include <stdexcept>   // invalid_argument, runtime_error
#include <string>      // string
#include <thread>      // sleep_for
#include <utility>     // exchange, move
#include <vector>      // vector

#include <sys/wait.h>  // waitpid
#include <unistd.h>    // fork, execv, pipe
#if defined(__linux__)
#include <sys/prctl.h>  // prctl
#endif

#include <splitvit/core/parallel.hpp>         // with_threads
#include <splitvit/io/checkpoint_policy.hpp>  // Memory
#include <splitvit/optim/adam.hpp>            // AdamW
#include <splitvit/split/checkpoints.hpp>     // Checkpoints
#include <splitvit/split/server.hpp>          // Server
#include <splitvit/split/service.hpp>         // Service
#include <splitvit/transport/tcp.hpp>         // TcpListener

#include "split_train/agreed.hpp"         // agreed_settings, started_part
#include "split_train/checkpointing.hpp"  // all_sessions_ended, checkpoint_folder, tell_found
#include "split_train/data.hpp"           // classes_of
#include "split_train/data_digest.hpp"    // data_digest
#include "split_train/interruption.hpp"   // SignalWatch
#include "split_train/memory.hpp"         // peak_memory
#include "split_train/method.hpp"         // method_of
#include "split_train/protection.hpp"     // serve
#include "split_train/schedule.hpp"       // schedule_of, schedule_setting
#include "split_train/server_log.hpp"     // ServerLog
#include "split_train/weights.hpp"        // weights_notes

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

/// The digest of the server's own data, which it need not have: --data may only name them.
std::string digest_if_here(const Options& options) {
  try {
    return data_digest(options);
  } catch (const std::runtime_error&) {  // UsageError, StorageError
    return {};
  }
}

/// A server's part before the first step, made before a client asks for it: to load weights may
/// take longer than a client waits to be welcomed.
class PartInStock {
 public:
  using Make = std::function<sv::nn::Part<float>(const Method&)>;

  /// For clients with this method's bottleneck. It is empty until refill.
  PartInStock(Make make, Method method) : make_{std::move(make)}, method_{std::move(method)} {}

  /// A part for this method, made now if there is none.
  sv::nn::Part<float> take(const Method& method) {
    const std::lock_guard lock{guard_};
    if (!part_ || bottleneck_of(method) != bottleneck_of(method_)) return make_(method);
    return *std::exchange(part_, std::nullopt);
  }
  void refill() {
    const std::lock_guard lock{guard_};
    if (!part_) part_ = make_(method_);
  }

 private:
  static std::string bottleneck_of(const Method& method) {
    return method.bottleneck ? method.bottleneck->description() : "none";
  }

  Make make_;
  Method method_;
  std::mutex guard_;
  std::optional<sv::nn::Part<float>> part_;
};

}  // namespace

int run_server(const Options& options) {
  if (!options.checkpoint.empty() && all_sessions_ended(options)) {
    std::fprintf(stderr, "split_train: all sessions in %s had come to their end\n",
                 options.checkpoint.c_str());
    return 0;
  }
  Index classes = options.classes;
  if (classes == 0 && options.data != Options{}.data) classes = classes_of(options.data);
  if (classes == 0 && options.start) classes = options.start->sizes.classes;
  if (classes == 0) classes = classes_of(options.data);
  if (classes == 0) throw UsageError("a server for --data " + options.data + " needs --classes N");
  const sv::nn::VitConfig vit = options.vit(classes);
  const std::string& text = options.methods.front();
  const bool takes_any = takes_any_stage(text);
  const Method own = method_of(text);  // refuses a wrong text before anybody connects

  const std::string own_data = digest_if_here(options);

  // Each client has a part of its own, which begins anew. The first one is made before anybody
  // connects: weights may not fit.
  Method expected = own;
  if (takes_any && options.start) expected.bottleneck = options.start->bottleneck;
  PartInStock stock{[&](const Method& method) { return server_part(options, vit, method); },
                    expected};
  sv::with_threads(options.threads, [&] { stock.refill(); });
  const auto make_role = [&](const sv::wire::Hello& hello) {
    const Method method =
        takes_any ? said_by(hello, method_setting,
                            [&](const std::string& theirs) { return method_for(text, theirs); })
                  : own;
    const auto schedule = said_by(hello, schedule_setting, [&](const std::string& theirs) {
      return schedule_of(theirs, options.lr);
    });
    said_by(hello, data_setting, [&](const std::string& theirs) {
      if (!own_data.empty() && theirs != own_data && theirs != no_files)
        throw std::invalid_argument("data: the client has files with digest " + theirs +
                                    ", the server has files with digest " + own_data);
      return theirs;
    });
    auto learner = std::make_shared<sv::split::Learner<float>>(
        stock.take(method),
        sv::optim::AdamW{.lr = options.lr, .weight_decay = options.weight_decay},
        sv::split::TrainingOptions{.schedule = schedule});
    return sv::split::ServerRole<float>{std::move(learner),
                                        sv::split::CutReceiver<float>{method.codec, options.seed}};
  };
  sv::split::Server<float> server{
      make_role,
      {.seed = options.seed,
       .method = takes_any ? std::string{sv::wire::any_value} : own.stage.description(),
       .agreed =
           agreed_settings(options, sv::wire::any_value, sv::wire::any_value, sv::wire::any_value),
       .most_sessions = 8}};  // each takes the memory of a part and its optimiser

  if (!options.checkpoint.empty())
    server.keep_checkpoints([&](const sv::wire::Hello& hello) {
      const auto name =
          said_by(hello, method_setting, [](const std::string& value) { return value; });
      auto how = checkpoint_options(options);
      how.generations.patience = std::chrono::seconds{2};
      how.settings = {{"compute of the server", compute_name(options.compute)}};
      auto checkpoints = std::make_shared<sv::split::Checkpoints>(
          checkpoint_folder(options, name, "server"), sv::io::Memory{}, how);
      if (options.progress != "none") tell_found(*checkpoints, options);
      return checkpoints;
    });
  const SignalWatch watch{[&](int) { server.save_checkpoints(); }};

  if (options.start && options.progress != "none")
    std::fprintf(stderr, "%s: %s\n", options.weights.c_str(),
                 weights_notes(options, classes).c_str());
  sv::transport::TcpListener listener{options.endpoint};
  ServerLog log{options.progress == "none"};
  sv::split::Service<float> service{
      server, {.on_event = [&](const std::string& peer, const sv::split::SessionEvent& event) {
        log.add(peer, event);
        // For the next client. This one hears heartbeats meanwhile.
        if (event.kind == sv::split::SessionEvent::Kind::began && options.sessions != 1)
          stock.refill();
        if (options.sessions > 0 && log.finished() >= options.sessions) listener.close();
      }}};
  std::printf("listening on %s\n", listener.endpoint().text().c_str());
  std::fflush(stdout);
  sv::with_threads(options.threads, [&] {
    serve(service, listener, options, [&] {
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
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const char* const self = "/proc/self/exe";
#else
  const char* const self = "split_train";
#endif
  // They may reach both processes. The client takes its step to the end, and then ends this one.
  for (const int signal : {SIGINT, SIGTERM}) ::signal(signal, SIG_IGN);
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

void ServerProcess::finish() {
  for (int waits = 0; process_ > 0 && waits < 100; ++waits) {
    if (::waitpid(process_, nullptr, WNOHANG) != 0)
      process_ = -1;
    else
      std::this_thread::sleep_for(std::chrono::milliseconds{50});
  }
}

void ServerProcess::end() {
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
  process_ = -1;
}

ServerProcess::~ServerProcess() { end(); }

}  // namespace split_train
