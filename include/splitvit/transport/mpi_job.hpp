// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>           // any_of, max, min
#include <chrono>              // microseconds, seconds
#include <condition_variable>  // condition_variable
#include <cstdlib>             // atoi, getenv
#include <cstring>             // memcpy
#include <exception>           // exception
#include <memory>              // make_shared, make_unique, shared_ptr, unique_ptr
#include <mutex>               // lock_guard, mutex, unique_lock
#include <thread>              // sleep_for, thread, yield

#include <mpi.h>  // MPI_Improbe, MPI_Isend, ...

#include <splitvit/core/error.hpp>                // Reason, TransportError
#include <splitvit/transport/concepts.hpp>        // Deadline, no_deadline
#include <splitvit/transport/detail/waiting.hpp>  // wait_until_ready

namespace splitvit::inline SPLITVIT_BUILD::transport {

namespace detail {

/// Errors  TransportError (link_failed) with the words of MPI unless `code` says success.
inline void require_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int size = 0;
  MPI_Error_string(code, text.data(), &size);
  throw TransportError(
      Reason::link_failed,
      {"MPI: ", call, ": ", std::string(text.data(), static_cast<std::size_t>(size))});
}

/// One end of a link, under the lock of its job.
struct MpiEnd {
  int peer = 0;  // its rank
  int send_tag = 0, receive_tag = 0;
  std::vector<std::byte> in;  // has come; read up to `begin`
  std::size_t begin = 0;
  std::vector<std::byte> out;      // written, and not handed to MPI yet
  std::vector<std::byte> sending;  // belongs to MPI until the request is done
  MPI_Request request = MPI_REQUEST_NULL;
  Deadline deadline = no_deadline;
  bool is_closed = false;  // on this side
  bool said_end = false;
  bool heard_end = false;

  std::size_t readable() const { return in.size() - begin; }
  bool is_over() const { return said_end && heard_end && request == MPI_REQUEST_NULL; }
};

/// MPI in this process. All calls of it are made by one thread, which carries the bytes of all
/// links. A link is a pair of tags; a message of no bytes is its end.
class MpiJob {
 public:
  /// Errors  TransportError if MPI cannot start, or has started one process of many.
  MpiJob() {
    thread_ = std::thread{[this] { run(); }};
    std::unique_lock lock{guard_};
    changed_.wait(lock, [this] { return size_ > 0 || !failure_.empty(); });
    if (failure_.empty()) return;
    lock.unlock();
    thread_.join();
    fail();
  }
  ~MpiJob() { end(); }

  int rank() const { return rank_; }
  int size() const { return size_; }

  std::shared_ptr<MpiEnd> call(int peer) {
    const std::lock_guard lock{guard_};
    const int number = calls_made_++ % most_numbers;
    calls_.push_back(std::make_unique<Call>(Call{peer, number}));
    return add(peer, number, true);
  }
  /// The end of a link that a peer has asked for, once one has.
  std::shared_ptr<MpiEnd> answer(Deadline deadline) {
    std::unique_lock lock{guard_};
    wait(lock, deadline, "accept", [this] { return !callers_.empty() || is_deaf_; });
    if (is_deaf_) throw TransportError(Reason::closed, "MPI: accept: closed");
    const auto [peer, number] = callers_.front();
    callers_.erase(callers_.begin());
    return add(peer, number, false);
  }
  void stop_answering() {
    change([this] { is_deaf_ = true; });
  }

  std::size_t read(MpiEnd& end, std::span<std::byte> into) {
    std::unique_lock lock{guard_};
    wait(lock, end.deadline, "read", [&] { return end.readable() > 0 || end.heard_end; });
    const std::size_t n = std::min(into.size(), end.readable());
    std::memcpy(into.data(), end.in.data() + end.begin, n);
    end.begin += n;
    changed_.notify_all();
    return n;
  }
  std::size_t write(MpiEnd& end, std::span<const std::byte> from) {
    std::unique_lock lock{guard_};
    wait(lock, end.deadline, "write", [&] { return end.out.size() < capacity || end.heard_end; });
    if (end.heard_end) throw TransportError(Reason::closed, "MPI: write: the peer closed the link");
    const std::size_t n = std::min(from.size(), capacity - end.out.size());
    end.out.insert(end.out.end(), from.data(), from.data() + n);
    changed_.notify_all();
    return n;
  }
  void set_deadline(MpiEnd& end, Deadline when) {
    change([&] { end.deadline = when; });
  }
  void close(MpiEnd& end) {
    change([&] { end.is_closed = true; });
  }

  /// Waits until one of the ends can be read, somebody has called, or the deadline. Returns what is
  /// ready: each end, then whether accept returns at once.
  std::vector<bool> wait_for(std::span<const std::shared_ptr<MpiEnd>> ends, Deadline deadline) {
    std::unique_lock lock{guard_};
    std::vector<bool> ready;
    const auto look = [&] {
      ready.clear();
      for (const auto& end : ends) ready.push_back(end->readable() > 0 || end->heard_end);
      ready.push_back(!callers_.empty() || is_deaf_ || !failure_.empty());
      return std::any_of(ready.begin(), ready.end(), [](bool is) { return is; });
    };
    wait_until_ready(lock, changed_, deadline, look);
    return ready;
  }

  /// Waits until all links are closed and all processes of the job have come so far.
  void end() {
    change([this] { is_ending_ = true; });
    if (thread_.joinable()) thread_.join();
  }
  /// Ends all processes of the job.
  [[noreturn]] void abort(int code) {
    change([&] { abort_code_ = code; });
    while (true) std::this_thread::sleep_for(std::chrono::seconds{1});
  }

 private:
  static constexpr std::size_t capacity = std::size_t{1} << 18;  // bytes of a message, at most
  static constexpr int call_tag = 0;
  static constexpr int most_numbers = 16'000;  // tags up to 32,767 exist everywhere
  static constexpr std::chrono::microseconds shortest_nap{10}, longest_nap{1000};

  struct Call {
    int peer = 0, number = 0;
    MPI_Request request = MPI_REQUEST_NULL;
    bool is_sent = false;
  };

  void change(const auto& what) {
    {
      const std::lock_guard lock{guard_};
      what();
    }
    changed_.notify_all();
  }

  std::shared_ptr<MpiEnd> add(int peer, int number, bool is_caller) {
    auto end = std::make_shared<MpiEnd>();
    end->peer = peer;
    end->send_tag = 1 + 2 * number + (is_caller ? 0 : 1);
    end->receive_tag = 1 + 2 * number + (is_caller ? 1 : 0);
    ends_.push_back(end);
    changed_.notify_all();
    return end;
  }

  [[noreturn]] void fail() const { throw TransportError(Reason::link_failed, failure_); }

  void wait(std::unique_lock<std::mutex>& lock, const Deadline& deadline, const char* what,
            const auto& is_ready) {
    const auto is_decided = [&] { return is_ready() || !failure_.empty(); };
    if (!wait_until_ready(lock, changed_, deadline, is_decided))
      throw TransportError(Reason::timed_out,
                           {"MPI: ", what, ": the peer was silent until the deadline"});
    if (!is_ready()) fail();
  }

  /// The one thread that calls MPI.
  void run() {
    std::string failure;
    try {
      begin();
      carry();
    } catch (const std::exception& error) {
      failure = error.what();
    }
    change([&] { failure_ = failure.empty() ? "MPI: has ended" : failure; });
    int is_running = 0;
    MPI_Initialized(&is_running);
    if (is_running == 0) return;
    if (!failure.empty() && size_ > 1) MPI_Abort(MPI_COMM_WORLD, 1);
    MPI_Finalize();
  }

  void begin() {
    int level = 0, rank = 0, size = 0;
    require_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level), "MPI_Init_thread");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    require_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "MPI_Comm_rank");
    require_mpi(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size");
    for (const char* const name : {"SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"})
      if (const char* const value = std::getenv(name);
          size == 1 && value != nullptr && std::atoi(value) > 1)
        throw TransportError(Reason::cannot_connect,
                             {"MPI: this process is alone, but ", name, " is ", value,
                              ": start the job by the launcher of this MPI, under Slurm by srun "
                              "--mpi=pmix"});
    change([&] {
      rank_ = rank;
      size_ = size;
    });
  }

  /// Until the job ends here and at all peers.
  void carry() {
    auto nap = shortest_nap;
    MPI_Request all_here = MPI_REQUEST_NULL;
    bool has_come = false;
    std::unique_lock lock{guard_};
    while (true) {
      if (abort_code_ != 0) MPI_Abort(MPI_COMM_WORLD, abort_code_);
      if (turn()) {
        nap = shortest_nap;
        changed_.notify_all();
        lock.unlock();  // for those who have waited for it
        std::this_thread::yield();
        lock.lock();
        continue;
      }
      if (is_ending_ && ends_.empty() && calls_.empty()) {
        // MPI_Finalize would wait by computing all the time.
        if (!std::exchange(has_come, true))
          require_mpi(MPI_Ibarrier(MPI_COMM_WORLD, &all_here), "MPI_Ibarrier");
        if (is_done(all_here)) return;
      }
      changed_.wait_for(lock, nap);
      nap = std::min(2 * nap, longest_nap);
    }
  }

  static bool is_done(MPI_Request& request) {
    int done = 0;
    require_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    return done != 0;
  }

  /// Moves what can be moved now. Returns whether anything has.
  bool turn() {
    bool has_moved = listen();
    std::erase_if(calls_, [&](const auto& call) {
      if (!std::exchange(call->is_sent, true))
        require_mpi(MPI_Isend(&call->number, 1, MPI_INT, call->peer, call_tag, MPI_COMM_WORLD,
                              &call->request),
                    "MPI_Isend");
      return is_done(call->request);
    });
    if (is_ending_)
      for (const auto& [peer, number] : std::exchange(callers_, {}))
        add(peer, number, false)->is_closed = true;  // so that they hear it
    for (const auto& end : ends_) {
      if (send(*end)) has_moved = true;
      if (receive(*end)) has_moved = true;
    }
    std::erase_if(ends_, [](const auto& end) { return end->is_over(); });
    return has_moved;
  }

  bool listen() {
    MPI_Message message;
    MPI_Status status;
    if (!has_message(MPI_ANY_SOURCE, call_tag, message, status)) return false;
    int number = 0;
    require_mpi(MPI_Mrecv(&number, 1, MPI_INT, &message, MPI_STATUS_IGNORE), "MPI_Mrecv");
    callers_.push_back({status.MPI_SOURCE, number});
    return true;
  }

  static bool has_message(int peer, int tag, MPI_Message& message, MPI_Status& status) {
    int has = 0;
    require_mpi(MPI_Improbe(peer, tag, MPI_COMM_WORLD, &has, &message, &status), "MPI_Improbe");
    return has != 0;
  }

  bool send(MpiEnd& end) {
    if (end.heard_end) end.out.clear();  // nobody reads it
    if (end.request != MPI_REQUEST_NULL && !is_done(end.request)) return false;
    if (end.said_end || (end.out.empty() && !end.is_closed)) return false;
    end.said_end = end.out.empty();
    end.sending.clear();
    end.sending.swap(end.out);
    require_mpi(MPI_Isend(end.sending.data(), static_cast<int>(end.sending.size()), MPI_BYTE,
                          end.peer, end.send_tag, MPI_COMM_WORLD, &end.request),
                "MPI_Isend");
    return true;
  }

  bool receive(MpiEnd& end) {
    if (end.heard_end || (end.readable() >= capacity && !end.is_closed)) return false;
    MPI_Message message;
    MPI_Status status;
    if (!has_message(end.peer, end.receive_tag, message, status)) return false;
    int count = 0;
    require_mpi(MPI_Get_count(&status, MPI_BYTE, &count), "MPI_Get_count");
    end.in.erase(end.in.begin(), end.in.begin() + static_cast<std::ptrdiff_t>(end.begin));
    end.begin = 0;
    const std::size_t before = end.in.size();
    end.in.resize(before + static_cast<std::size_t>(count));
    require_mpi(MPI_Mrecv(end.in.data() + before, count, MPI_BYTE, &message, MPI_STATUS_IGNORE),
                "MPI_Mrecv");
    end.heard_end = count == 0;
    if (end.is_closed) end.in.clear();
    return true;
  }

  std::mutex guard_;
  std::condition_variable changed_;
  std::string failure_;  // why nothing goes on
  int rank_ = 0, size_ = 0, calls_made_ = 0, abort_code_ = 0;
  bool is_deaf_ = false, is_ending_ = false;
  std::vector<std::shared_ptr<MpiEnd>> ends_;
  std::vector<std::unique_ptr<Call>> calls_;
  std::vector<std::pair<int, int>> callers_;  // rank, number
  std::thread thread_;
};

}  // namespace detail

}  // namespace splitvit::inline SPLITVIT_BUILD::transport
