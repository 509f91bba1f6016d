// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max
#include <memory>     // make_shared, shared_ptr

#include <splitvit/core/error.hpp>          // ArgumentError
#include <splitvit/transport/concepts.hpp>  // Deadline, no_deadline
#include <splitvit/transport/mpi_job.hpp>   // MpiEnd, MpiJob

// Links between the processes of an MPI job. Needs MPI 3: link splitvit::mpi. A process that dies
// ends the whole job, as always under MPI; use TCP where parties may come and go.

namespace splitvit::inline SPLITVIT_BUILD::transport {

/// A link between two processes of an MPI job. Models Transport and HasDeadline. After destruction
/// the peer can read what was written, then the end.
class MpiLink {
 public:
  MpiLink(std::shared_ptr<detail::MpiJob> job, std::shared_ptr<detail::MpiEnd> end)
      : job_{std::move(job)}, end_{std::move(end)} {}
  MpiLink(MpiLink&&) = default;
  MpiLink& operator=(MpiLink&& other) noexcept {
    std::swap(job_, other.job_);
    std::swap(end_, other.end_);
    return *this;
  }
  ~MpiLink() {
    if (end_) job_->close(*end_);
  }

  std::size_t read_some(std::span<std::byte> into) { return job_->read(*end_, into); }
  std::size_t write_some(std::span<const std::byte> from) { return job_->write(*end_, from); }
  /// Also applies to a call that already waits.
  void set_deadline(Deadline when) { job_->set_deadline(*end_, when); }

  /// The other side, such as "rank 3".
  std::string peer() const { return "rank " + std::to_string(end_->peer); }

 private:
  friend class MpiListener;

  std::shared_ptr<detail::MpiJob> job_;
  std::shared_ptr<detail::MpiEnd> end_;
};

/// MPI for the life of this object: one in a process, and none before or after it.
///
///   Mpi mpi;
///   if (mpi.rank() == 0) {
///     MpiListener listener{mpi};
///     service.run(listener, goes_on);
///   } else {
///     Client client{part, rule, stage, mpi.connect(0)};
///   }
///
/// Destruction waits until all processes of the job have closed their links and come here, too.
class Mpi {
 public:
  /// Starts MPI, with a thread of its own that makes all calls (MPI_THREAD_FUNNELED).
  ///
  /// Errors  TransportError: link_failed if MPI cannot start; cannot_connect if this process is
  ///         alone where the launcher has started several, as by an srun that does not know this
  ///         MPI.
  Mpi() : job_{std::make_shared<detail::MpiJob>()} {}
  Mpi(const Mpi&) = delete;
  Mpi& operator=(const Mpi&) = delete;
  ~Mpi() { job_->end(); }

  int rank() const { return job_->rank(); }
  int size() const { return job_->size(); }

  /// A link to the listener of another process, or of this one. It waits for nobody: what is
  /// written is read when the peer accepts.
  ///
  /// Errors  std::invalid_argument for a rank that does not exist.
  MpiLink connect(int rank) {
    if (rank < 0 || rank >= size())
      throw ArgumentError({"Mpi: connect: rank ", rank, " of ", size(), " processes"});
    return {job_, job_->call(rank)};
  }

  /// Ends all processes of the job, which end with this code, if MPI can have it so.
  [[noreturn]] void abort(int code) { job_->abort(std::max(code, 1)); }

 private:
  friend class MpiListener;

  std::shared_ptr<detail::MpiJob> job_;
};

/// Takes the links that other processes make to this one. Models split::Listener. One at a time.
class MpiListener {
 public:
  explicit MpiListener(Mpi& mpi) : job_{mpi.job_} {}

  /// Waits for the next link.
  ///
  /// Errors  TransportError: timed_out at the deadline, closed after close().
  MpiLink accept(Deadline deadline = no_deadline) { return {job_, job_->answer(deadline)}; }

  /// Waits until accept has something to return, a link can be read, or the deadline. Returns what
  /// is ready: each of `links`, then the listener itself.
  std::vector<bool> wait(std::span<MpiLink* const> links, Deadline deadline) {
    std::vector<std::shared_ptr<detail::MpiEnd>> ends;
    for (const MpiLink* const link : links) ends.push_back(link->end_);
    return job_->wait_for(ends, deadline);
  }

  /// Ends a waiting accept and all later ones. Any thread may call it.
  void close() { job_->stop_answering(); }

 private:
  std::shared_ptr<detail::MpiJob> job_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::transport
