// SPDX-License-Identifier: MIT
#pragma once

#include <optional>  // optional
#include <string>    // string

#include <splitvit/core/error.hpp>  // Reason, StorageError

// What a reader said about a bad file.

namespace support {

struct Complaint {
  splitvit::Reason reason;
  std::string text;
};

/// The StorageError that `work` throws; nothing if it throws none. Other errors pass through.
template <class Work>
std::optional<Complaint> complaint_of(Work&& work) {
  try {
    work();
  } catch (const splitvit::StorageError& error) {
    return Complaint{error.reason(), error.what()};
  }
  return std::nullopt;
}

/// Whether `work` throws a StorageError with this reason.
template <class Work>
bool fails_with(splitvit::Reason reason, Work&& work) {
  const auto complaint = complaint_of(work);
  return complaint && complaint->reason == reason;
}

}  // namespace support
