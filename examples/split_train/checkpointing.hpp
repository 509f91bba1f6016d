// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // string

#include <splitvit/split/checkpoints.hpp>  // CheckpointOptions, Checkpoints

#include "split_train/options.hpp"  // Options

// Where the parties of a run keep their checkpoints, and what people are told of them.

namespace split_train {

/// A text as a part of a file's name.
std::string file_name_of(std::string text);

/// The folder of a party, "client-0" or "server", in a run with --checkpoint.
std::string checkpoint_folder(const Options& options, const std::string& method,
                              const std::string& party);

/// Removes the checkpoints of a run, for --overwrite.
void remove_checkpoints(const Options& options, const std::string& method);

/// What the command line says of checkpoints. What cannot be written is said on stderr.
splitvit::split::CheckpointOptions checkpoint_options(const Options& options);

/// Says which files were passed over and, with --resume, from where the party goes on; `unit` is
/// what its checkpoints count.
void tell_found(const splitvit::split::Checkpoints& checkpoints, const Options& options,
                const std::string& unit = "step");

/// For a server that is started again: whether all sessions in --checkpoint have come to their end,
/// and are as many as --sessions.
bool all_sessions_ended(const Options& options);

}  // namespace split_train
