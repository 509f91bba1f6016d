// SPDX-License-Identifier: MIT
#pragma once

#include <functional>  // function

#include <splitvit/split/service.hpp>       // Service
#include <splitvit/transport/any_link.hpp>  // AnyLink

#include "split_train/options.hpp"  // Options

// The processes of an MPI job: a server, rank 0, and its clients.

namespace split_train {

/// Joins the job: this process becomes what its rank says, and leaves what is another one's.
///
/// Errors  UsageError for a job of one process, options that do not fit its size or say who this
///         process is, and if this program was built without MPI; TransportError as Mpi.
void join_cluster(Options& options);

/// A link to the server.
splitvit::transport::AnyLink connect_in_cluster();

/// Runs the service for the other processes; see Service::run.
void serve_cluster(splitvit::split::Service<float>& service, const Options& options,
                   const std::function<bool()>& goes_on);

/// Waits until all processes have come to their end. With another code than 0, ends them now, since
/// they would wait for this one. Does nothing in a process without a job.
void leave_cluster(int code);

}  // namespace split_train
