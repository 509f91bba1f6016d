// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // find_if, max, min
#include <array>      // array
#include <cstddef>    // byte, size_t
#include <cstdint>    // uint8_t, uint16_t, uint32_t, uint64_t
#include <random>     // random_device
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/core/bytes.hpp>             // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>             // WireError
#include <splitvit/wire/detail/printable.hpp>  // printable
#include <splitvit/wire/error_message.hpp>     // throw_peer_error
#include <splitvit/wire/message.hpp>           // Bytes, MessageKind, limits

// The handshake as functions from bytes to bytes: do both sides mean the same training? One
// round trip: hello, then welcome or refuse. The three layouts never change, so that any two
// versions can at least refuse each other politely.

namespace splitvit::wire {

/// The versions of the messages after the handshake that this side speaks.
inline constexpr std::uint16_t oldest_version = 1;
inline constexpr std::uint16_t newest_version = 1;

/// One thing that both sides must agree on, such as {"cut", "6"}.
struct Setting {
  std::string key;
  std::string value;
  friend bool operator==(const Setting&, const Setting&) = default;
};
using Settings = std::vector<Setting>;

/// A server's setting with this value is content with whatever the client has.
inline constexpr const char* any_value = "any";

using SessionId = std::array<std::uint64_t, 2>;

/// An id that cannot be guessed: from the system, not from a seed. It never touches a number
/// of the training.
inline SessionId random_session_id() {
  std::random_device device;
  const auto word = [&] { return (std::uint64_t{device()} << 32) | device(); };
  return {word(), word()};
}

/// What both sides know after a handshake.
struct Session {
  std::uint16_t version = newest_version;
  SessionId id{};
  std::uint32_t attach = 1;           ///< which connection of the session this is, from 1
  std::uint64_t largest_message = 0;  ///< bytes
};

/// What the server brings to a handshake besides its settings.
struct ServerSide {
  SessionId id{};
  std::uint32_t attach = 1;
  std::uint64_t largest_message = message_ceiling;
  std::uint16_t oldest = oldest_version;
  std::uint16_t newest = newest_version;
};

/// The server's answer to a hello.
struct Answer {
  MessageKind kind = MessageKind::refuse;  ///< or welcome
  std::vector<std::byte> payload;
  Session session;      ///< of a welcome
  std::string refusal;  ///< of a refuse: what the client will read, too
};

namespace detail {

inline constexpr std::size_t longest_key = 64;
inline constexpr std::size_t longest_value = 1024;

inline const Setting* find(const Settings& settings, const std::string& key) {
  const auto at =
      std::ranges::find_if(settings, [&](const Setting& setting) { return setting.key == key; });
  return at == settings.end() ? nullptr : &*at;
}

/// What is wrong with a list of settings, or nothing.
inline std::string settings_fault(const Settings& settings) {
  for (std::size_t i = 0; i < settings.size(); ++i) {
    const auto& [key, value] = settings[i];
    if (key.empty() || key.size() > longest_key || key != printable(key))
      return "a key must have 1 to 64 plain characters: '" + printable(key).substr(0, 80) + "'";
    if (value.size() > longest_value || value != printable(value))
      return key + ": a value must have at most 1024 plain characters";
    if (find(settings, key) != &settings[i]) return key + " is there twice";
  }
  return {};
}

inline std::uint64_t checked_limit(std::uint64_t largest_message, const char* what) {
  if (largest_message < unadmitted_limit || largest_message > message_ceiling)
    throw WireError(Reason::malformed, std::string{what} + ": a largest message of " +
                                           std::to_string(largest_message) +
                                           " bytes, allowed are 4 KiB to 256 MiB");
  return largest_message;
}

inline std::string versions(std::uint16_t oldest, std::uint16_t newest) {
  return std::to_string(oldest) + " to " + std::to_string(newest);
}

}  // namespace detail

/// What the client says first.
///
///   u16 oldest version   u16 newest version
///   u32 capabilities that the server must have (none exist yet)
///   u32 capabilities that it may use (none exist yet)
///   u64 largest message, in bytes
///   u16 how many settings, then key and value of each as texts
///
/// Errors  std::invalid_argument for settings that do not fit: keys of 1 to 64 and values of
///         up to 1024 plain characters, no key twice, 4 KiB in all; or for a largest message
///         outside 4 KiB to 256 MiB.
inline std::vector<std::byte> hello_payload(const Settings& settings,
                                            std::uint64_t largest_message = message_ceiling) {
  if (const std::string fault = detail::settings_fault(settings); !fault.empty())
    throw std::invalid_argument("hello: " + fault);
  if (largest_message < unadmitted_limit || largest_message > message_ceiling)
    throw std::invalid_argument("hello: largest_message must be from 4 KiB to 256 MiB");
  std::vector<std::byte> payload;
  ByteWriter out{payload};
  out.put(oldest_version);
  out.put(newest_version);
  out.put(std::uint32_t{0});
  out.put(std::uint32_t{0});
  out.put(largest_message);
  out.put(static_cast<std::uint16_t>(settings.size()));
  for (const Setting& setting : settings) {
    out.put_text(setting.key);
    out.put_text(setting.value);
  }
  if (payload.size() > unadmitted_limit)
    throw std::invalid_argument("hello: the settings take " + std::to_string(payload.size()) +
                                " bytes, at most 4096 can be sent");
  return payload;
}

/// Compares a client's hello with the server's own settings.
///
/// Errors  WireError (truncated, too_long, malformed) for a hello that is none;
///         std::invalid_argument for own settings that do not fit.
inline Answer answer_hello(Bytes hello, const Settings& own, const ServerSide& side) {
  if (const std::string fault = detail::settings_fault(own); !fault.empty())
    throw std::invalid_argument("answer_hello: " + fault);
  ByteReader in{hello, "hello"};
  const auto oldest = in.get<std::uint16_t>();
  const auto newest = in.get<std::uint16_t>();
  if (oldest > newest)
    throw WireError(Reason::malformed, "hello: versions " + detail::versions(oldest, newest));

  const auto refuse = [](const std::string& field, const std::string& client,
                         const std::string& server) {
    Answer answer;
    ByteWriter out{answer.payload};
    for (const std::string& text : {field, client, server}) out.put_text(text);
    answer.refusal =
        "handshake refused: " + field + ": the client has " + client + ", the server has " + server;
    return answer;
  };
  // Before the rest: a newer client may have more to say than this side understands.
  const std::uint16_t version = std::min(newest, side.newest);
  if (version < std::max(oldest, side.oldest))
    return refuse("protocol version", detail::versions(oldest, newest),
                  detail::versions(side.oldest, side.newest));
  const auto required = in.get<std::uint32_t>();
  if (required != 0) return refuse("required capabilities", std::to_string(required), "0");
  in.get<std::uint32_t>();  // optional ones are free to ignore
  const auto largest = detail::checked_limit(in.get<std::uint64_t>(), "hello");

  Settings theirs;
  for (int left = in.get<std::uint16_t>(); left > 0; --left) {
    std::string key = in.get_text(detail::longest_key);
    theirs.push_back({std::move(key), in.get_text(detail::longest_value)});
  }
  in.expect_end();
  if (const std::string fault = detail::settings_fault(theirs); !fault.empty())
    throw WireError(Reason::malformed, "hello: " + fault);

  for (const Setting& mine : own) {
    const Setting* other = detail::find(theirs, mine.key);
    if (other == nullptr) return refuse(mine.key, "no such setting", mine.value);
    if (mine.value != any_value && other->value != mine.value)
      return refuse(mine.key, other->value, mine.value);
  }
  for (const Setting& other : theirs)
    if (detail::find(own, other.key) == nullptr)
      return refuse(other.key, other.value, "no such setting");

  Answer answer{.kind = MessageKind::welcome,
                .payload = {},
                .session = {.version = version,
                            .id = side.id,
                            .attach = side.attach,
                            .largest_message = std::min(largest, side.largest_message)},
                .refusal = {}};
  ByteWriter out{answer.payload};
  out.put(answer.session.version);
  out.put(answer.session.id[0]);
  out.put(answer.session.id[1]);
  out.put(answer.session.attach);
  out.put(answer.session.largest_message);
  return answer;
}

/// Understands the server's answer.
///
///   welcome   u16 version, u64 u64 session id, u32 attach number, u64 largest message
///   refuse    texts: field, the client's value, the server's value
///
/// Errors  WireError: refused, naming the field and both values; peer_failed for an error
///         message; wrong_message for any other kind; truncated, too_long or malformed for
///         bytes that make no sense or promise what this side did not offer.
inline Session read_answer(MessageKind kind, Bytes payload,
                           std::uint64_t largest_message = message_ceiling) {
  if (kind == MessageKind::error) throw_peer_error(payload);
  ByteReader in{payload, name(kind)};
  if (kind == MessageKind::refuse) {
    const std::string field = in.get_text(detail::longest_key);
    const std::string client = in.get_text(detail::longest_value);
    const std::string server = in.get_text(detail::longest_value);
    in.expect_end();
    throw WireError(Reason::refused, "handshake refused: " + detail::printable(field) +
                                         ": the client has " + detail::printable(client) +
                                         ", the server has " + detail::printable(server));
  }
  if (kind != MessageKind::welcome)
    throw WireError(Reason::wrong_message, std::string{name(kind)} + " came in answer to hello");
  Session session;
  session.version = in.get<std::uint16_t>();
  session.id = {in.get<std::uint64_t>(), in.get<std::uint64_t>()};
  session.attach = in.get<std::uint32_t>();
  session.largest_message = detail::checked_limit(in.get<std::uint64_t>(), "welcome");
  in.expect_end();
  if (session.version < oldest_version || session.version > newest_version || session.attach == 0 ||
      session.largest_message > largest_message)
    throw WireError(Reason::malformed,
                    "welcome: version " + std::to_string(session.version) + ", attach " +
                        std::to_string(session.attach) + ", largest message " +
                        std::to_string(session.largest_message) + ": not what hello offered");
  return session;
}

}  // namespace splitvit::wire
