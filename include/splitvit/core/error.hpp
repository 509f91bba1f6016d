// SPDX-License-Identifier: MIT
#pragma once

#include <initializer_list>  // initializer_list

#include <splitvit/core/std.hpp>

namespace splitvit::inline SPLITVIT_BUILD {

/// Why bytes, a link or a file could not be used. Stable: a program that reacts to an error reads
/// it, never the text, which names the operation, what came and what was wanted.
enum class Reason : std::uint8_t {
  // WireError: bytes from the peer make no sense.
  bad_magic,      ///< the first bytes are not ours
  bad_version,    ///< another version of the wire format, or of a checkpoint
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
  in_use,         ///< another process holds its lock, or the server serves another client

  // WireError again.
  late,  ///< the other clients have gone on without this one
};

/// Whether the same call may succeed when it is repeated.
constexpr bool may_retry(Reason reason) {
  return reason == Reason::timed_out || reason == Reason::cannot_connect ||
         reason == Reason::cannot_write || reason == Reason::in_use;
}

/// A part of a text: characters, a number as std::to_string writes it, or a thing with a text().
/// It refers to what it was made from. Not inline: texts are of errors, and are everywhere.
class TextPart {
 public:
  [[gnu::noinline]] TextPart(const char* text)
      : value_{text},
        append_{[](std::string& to, const void* value) { to += static_cast<const char*>(value); }} {
  }
  template <class Value>
  [[gnu::noinline]] TextPart(const Value& value)
      : value_{&value}, append_{[](std::string& to, const void* part) {
          const auto& typed = *static_cast<const Value*>(part);
          if constexpr (std::is_arithmetic_v<Value>)
            to += std::to_string(typed);
          else if constexpr (requires { typed.text(); })
            to += typed.text();
          else
            to += typed;
        }} {}

  void append_to(std::string& text) const { append_(text, value_); }

 private:
  const void* value_;
  void (*append_)(std::string& to, const void* value);
};
using TextParts = std::initializer_list<TextPart>;

inline std::string joined(TextParts parts) {
  std::string text;
  for (const TextPart& part : parts) part.append_to(text);
  return text;
}

/// An argument that the function does not take. The text is all parts, joined.
class ArgumentError : public std::invalid_argument {
 public:
  explicit ArgumentError(TextParts parts) : std::invalid_argument(joined(parts)) {}
  explicit ArgumentError(const std::string& text) : std::invalid_argument(text) {}
};

/// The caller's tensor shapes do not fit the operation.
class ShapeError : public ArgumentError {
  using ArgumentError::ArgumentError;
};

/// An error with a reason. The text is all parts, joined.
class ReasonedError : public std::runtime_error {
 public:
  ReasonedError(Reason reason, TextParts parts)
      : std::runtime_error(joined(parts)), reason_{reason} {}
  ReasonedError(Reason reason, const std::string& text)
      : std::runtime_error(text), reason_{reason} {}

  Reason reason() const noexcept { return reason_; }

 private:
  Reason reason_;
};

/// Bytes or numbers from the peer make no sense, or the peer was refused.
class WireError : public ReasonedError {
  using ReasonedError::ReasonedError;
};

/// The link failed, was closed, or was silent for too long.
class TransportError : public ReasonedError {
  using ReasonedError::ReasonedError;
};

/// A file cannot be read, written or trusted.
class StorageError : public ReasonedError {
  using ReasonedError::ReasonedError;
};

}  // namespace splitvit::inline SPLITVIT_BUILD
