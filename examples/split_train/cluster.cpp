// SPDX-License-Identifier: MIT
#include "split_train/cluster.hpp"

#include <cstdio>  // fflush
#include <memory>  // unique_ptr
#include <string>  // string

#include <splitvit/core/error.hpp>  // joined

#if SPLITVIT_HAS_MPI
#include <splitvit/transport/mpi.hpp>  // Mpi, MpiListener

#include "split_train/slow_link.hpp"  // run_through_line
#endif

namespace split_train {

namespace sv = splitvit;

#if SPLITVIT_HAS_MPI

namespace {

/// The job of this process, once it has joined it.
std::unique_ptr<sv::transport::Mpi>& job() {
  static std::unique_ptr<sv::transport::Mpi> one;
  return one;
}

}  // namespace

void join_cluster(Options& o) {
  const auto need = [](bool holds, const std::string& text) {
    if (!holds) throw UsageError(text);
  };
  need(o.role == Role::both,
       "--link mpi goes without --role and --client: rank 0 is the server, the others are clients");
  job() = std::make_unique<sv::transport::Mpi>();
  const int size = job()->size();
  need(size > 1,
       "--link mpi: this job has one process; wanted a server and its clients, such as by "
       "mpirun -n 5");
  need(o.clients == 0 || o.clients == size - 1,
       sv::joined({"--clients ", o.clients, ": this job has ", size, " processes, a server and ",
                   size - 1, " clients"}));
  o.mpi = true;
  o.clients = size - 1;
  o.client = job()->rank();
  o.role = o.client == 0 ? Role::server : Role::client;
  if (o.role == Role::server) {
    o.augment = "none";
    o.drop_patches = o.distance_correlation = 0;
    o.micro_batches = 1;
  } else {
    o.out.clear();
    o.overwrite = false;
    o.progress = "none";
  }
}

sv::transport::AnyLink connect_in_cluster() { return job()->connect(0); }

void serve_cluster(sv::split::Service<float>& service, const Options& options,
                   const std::function<bool()>& goes_on) {
  sv::transport::MpiListener listener{*job()};
  run_through_line(options, service, listener, goes_on);
}

void leave_cluster(int code) {
  if (!job()) return;
  std::fflush(nullptr);  // before the launcher ends this process, too
  if (code != 0 && job()->size() > 1) job()->abort(code);
  job().reset();
}

#else

namespace {

[[noreturn]] void refuse() {
  throw UsageError(
      "--link mpi: this program was built without MPI; install it (libopenmpi-dev on Debian and "
      "Ubuntu) and configure with -DSPLITVIT_USE_MPI=ON");
}

}  // namespace

void join_cluster(Options&) { refuse(); }
sv::transport::AnyLink connect_in_cluster() { refuse(); }
void serve_cluster(sv::split::Service<float>&, const Options&, const std::function<bool()>&) {
  refuse();
}
void leave_cluster(int) {}

#endif

}  // namespace split_train
