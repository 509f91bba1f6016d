// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>    // uint8_t
#include <stdexcept>  // invalid_argument, runtime_error
#include <string>     // string

// What can go wrong, as types. A text names the operation, what came and what was wanted;
// a program that reacts to an error reads reason(), never the text.

namespace splitvit {

/// Why bytes, a link or a file could not be used. Stable: programs may store and compare it.
enum class Reason : std::uint8_t {
  // WireError: bytes from the peer make no sense.
  bad_magic,      ///< the first bytes are not ours
  bad_version,    ///< another version of the wire format
  bad_kind,       ///< a message kind that does not exist
  bad_flags,      ///< a reserved bit is set
  bad_checksum,   ///< header or payload were damaged on the way
  too_long,       ///< a claimed length is above the limit
  malformed,      ///< a payload breaks its layout
  truncated,      ///< bytes end before the value does
  wrong_step,     ///< a sequence or step number is skipped or repeated
  wrong_message,  ///< a valid message at the wrong moment
  wrong_shape,    ///< a tensor of another shape than agreed
  not_finite,     ///< NaN or infinity where numbers must be finite
  refused,        ///< handshake: the peer's settings differ
  peer_failed,    ///< the peer reported an error of its own
  superseded,     ///< a newer connection has taken this session over

  // TransportError: the link failed.
  closed,          ///< the peer closed the link
  timed_out,       ///< nothing came before the deadline
  cannot_connect,  ///< no listener, or no such host
  link_failed,     ///< any other failure that the system reports

  // StorageError: a file cannot be written or trusted.
  cannot_open,    ///< missing, or no permission
  cannot_write,   ///< disk full, or an input/output error
  damaged_file,   ///< truncated, or inconsistent within itself
  foreign_file,   ///< another format
  wrong_content,  ///< a good file that does not fit: keys, shapes, classes
};

/// Whether the same call may succeed when it is repeated.
constexpr bool may_retry(Reason reason) {
  return reason == Reason::timed_out || reason == Reason::cannot_connect ||
         reason == Reason::cannot_write;
}

/// The caller's tensor shapes do not fit the operation.
class ShapeError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// An error with a reason that a program can act on.
class ReasonedError : public std::runtime_error {
 public:
  ReasonedError(Reason reason, const std::string& text)
      : std::runtime_error(text), reason_{reason} {}

  Reason reason() const noexcept { return reason_; }

 private:
  Reason reason_;
};

/// Bytes or numbers from the peer make no sense, or the peer was refused.
class WireError : public ReasonedError {
 public:
  using ReasonedError::ReasonedError;
};

/// The link failed, was closed, or was silent for too long.
class TransportError : public ReasonedError {
 public:
  using ReasonedError::ReasonedError;
};

/// A file cannot be read, written or trusted.
class StorageError : public ReasonedError {
 public:
  using ReasonedError::ReasonedError;
};

}  // namespace splitvit
