// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // find

#include <sys/random.h>  // getentropy

#include <splitvit/core/bytes.hpp>  // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>  // ArgumentError, joined, Reason, TextParts, WireError
#include <splitvit/wire/frame.hpp>  // Bytes, message_ceiling, unadmitted_limit

// The messages of the handshake as bytes, and the error message: hello, then welcome or refuse. The
// versions at the start of hello and the refuse message never change, so that any two versions can
// refuse each other.

namespace splitvit::inline SPLITVIT_BUILD::wire {

/// The versions of all other messages that this side speaks.
struct Versions {
  std::uint16_t oldest = 1;
  std::uint16_t newest = 1;

  std::string text() const { return joined({oldest, " to ", newest}); }
  friend bool operator==(const Versions&, const Versions&) = default;
};

/// One thing that both sides must agree on, such as {"cut", "6"}.
struct Setting {
  std::string key;
  std::string value;
  friend bool operator==(const Setting&, const Setting&) = default;
};
using Settings = std::vector<Setting>;

/// A server's setting with this value accepts any value of the client.
inline constexpr const char* any_value = "any";

/// Names a session: 128 bits, all zero where there is no session yet.
using SessionId = std::array<std::uint64_t, 2>;

/// A random id that cannot be guessed: from the system, not from a seed.
inline SessionId random_session_id() {
  SessionId id;
  if (getentropy(id.data(), sizeof(id)) != 0)
    throw std::runtime_error("random_session_id: the system gives no random numbers");
  id[1] |= 1;  // never zero
  return id;
}

/// The client's first message.
struct Hello {
  Versions versions = {};
  std::uint64_t largest_message = message_ceiling;  ///< bytes
  std::uint32_t heartbeat_ms = 0;                   ///< proposed interval; 0: no heartbeats
  SessionId session{};                              ///< zero: a new session
  std::uint32_t connection = 0;                     ///< number of its last connection; 0: none
  std::uint32_t client = 0;                         ///< its number among the server's clients
  std::uint64_t last_step = 0;                      ///< the last step it has applied; 0: none
  std::vector<std::uint64_t> generations = {};      ///< steps of the checkpoints that it holds
  Settings settings = {};
};

/// The server's answer if it admits the client.
struct Welcome {
  std::uint16_t version = 1;
  std::uint64_t largest_message = message_ceiling;  ///< bytes; the smaller of both sides'
  std::uint32_t heartbeat_ms = 0;                   ///< agreed interval; 0: no heartbeats
  SessionId session{};
  std::uint32_t connection = 1;                  ///< above all earlier numbers of the session
  std::uint64_t last_step = 0;                   ///< the last step that the server has applied
  std::optional<std::uint64_t> generation = {};  ///< the newest checkpoint that both hold
};

/// Why the server refuses: a field, and its value on both sides.
struct Refusal {
  std::string field;
  std::string client;
  std::string server;

  /// There is no room for another client now. `serving` says who has it.
  static Refusal busy(std::string serving) { return {"busy", {}, std::move(serving)}; }

  Reason reason() const { return is_busy() ? Reason::in_use : Reason::refused; }
  std::string text() const {
    if (is_busy()) return joined({"busy: ", server});
    return joined(
        {"handshake refused: ", field, ": the client has ", client, ", the server has ", server});
  }

 private:
  bool is_busy() const { return field == "busy" && client.empty(); }
};

namespace detail {
inline constexpr std::size_t longest_key = 64;
inline constexpr std::size_t longest_value = 1024;
inline constexpr std::size_t most_generations = 64;

/// The text with '?' for all that is not printable ASCII: a peer must not control the terminal.
inline std::string printable(std::string text) {
  for (char& c : text)
    if (c < ' ' || c > '~') c = '?';
  return text;
}

inline const Setting* find(const Settings& settings, const std::string& key) {
  for (const Setting& setting : settings)
    if (setting.key == key) return &setting;
  return nullptr;
}

/// What is wrong with a list of settings; empty if it is valid.
inline std::string settings_fault(const Settings& settings) {
  for (const Setting& setting : settings) {
    const auto& [key, value] = setting;
    if (key.empty() || key.size() > longest_key || key != printable(key))
      return "a key must have 1 to 64 plain characters: '" + printable(key).substr(0, 80) + "'";
    if (value.size() > longest_value || value != printable(value))
      return key + ": a value must have at most 1024 plain characters";
    if (find(settings, key) != &setting) return key + " is there twice";
  }
  return {};
}

/// What is wrong with a hello; empty if it is valid.
inline std::string hello_fault(const Hello& hello) {
  if (hello.versions.oldest > hello.versions.newest) return "versions " + hello.versions.text();
  if (hello.largest_message < unadmitted_limit || hello.largest_message > message_ceiling)
    return joined(
        {"a largest message of ", hello.largest_message, " bytes, allowed are 4 KiB to 256 MiB"});
  if (hello.generations.size() > most_generations)
    return joined({hello.generations.size(), " generations, at most 64 can be sent"});
  return settings_fault(hello.settings);
}
}  // namespace detail

/// The payload of a hello.
///
///   u16 oldest version   u16 newest version
///   u32 capabilities that the server must have (none exist yet)
///   u32 capabilities that it may use (none exist yet)
///   u64 largest message, in bytes   u32 heartbeat, in milliseconds, 0 for none
///   u64 u64 session id, zero for a new session   u32 number of the last connection
///   u32 number of the client   u64 last step
///   u16 how many generations, then u64 each
///   u16 how many settings, then key and value of each as texts
///
/// Errors  std::invalid_argument for what cannot be sent: keys have 1 to 64 and values at most 1024
///         plain characters, no key comes twice, at most 64 generations, all within 4 KiB;
///         largest_message is from 4 KiB to 256 MiB.
inline std::vector<std::byte> hello_payload(const Hello& hello) {
  if (const std::string fault = detail::hello_fault(hello); !fault.empty())
    throw std::invalid_argument("hello: " + fault);
  std::vector<std::byte> payload;
  ByteWriter out{payload};
  out.put(hello.versions.oldest, hello.versions.newest, std::uint32_t{0}, std::uint32_t{0});
  out.put(hello.largest_message, hello.heartbeat_ms, hello.session[0], hello.session[1]);
  out.put(hello.connection, hello.client, hello.last_step);
  out.put(static_cast<std::uint16_t>(hello.generations.size()));
  for (const std::uint64_t step : hello.generations) out.put(step);
  out.put(static_cast<std::uint16_t>(hello.settings.size()));
  for (const auto& [key, value] : hello.settings) {
    out.put_text(key);
    out.put_text(value);
  }
  if (payload.size() > unadmitted_limit)
    throw ArgumentError(
        {"hello: the settings take ", payload.size(), " bytes, at most 4096 can be sent"});
  return payload;
}

/// A hello, or the reason for a refusal; then nothing after the versions may have been read.
struct HelloOrRefusal {
  Hello hello;
  std::optional<Refusal> refusal = {};
};

/// Reads a hello. Errors  WireError: truncated, too_long or malformed.
inline HelloOrRefusal read_hello(Bytes payload, const Versions& own = {}) {
  ByteReader in{payload, "hello"};
  Hello hello;
  in.get_to(hello.versions.oldest, hello.versions.newest);
  if (hello.versions.oldest > hello.versions.newest)
    in.refuse(Reason::malformed, {"versions ", hello.versions.text()});
  if (hello.versions.newest < own.oldest || own.newest < hello.versions.oldest)
    return {hello, Refusal{"protocol version", hello.versions.text(), own.text()}};
  if (const auto required = in.get<std::uint32_t>(); required != 0)
    return {hello, Refusal{"required capabilities", std::to_string(required), "0"}};
  in.get<std::uint32_t>();  // optional ones are ignored
  in.get_to(hello.largest_message, hello.heartbeat_ms, hello.session[0], hello.session[1]);
  in.get_to(hello.connection, hello.client, hello.last_step);
  // A hello has at most 4 KiB, so that the counts need no limit of their own.
  for (int left = in.get<std::uint16_t>(); left > 0; --left)
    hello.generations.push_back(in.get<std::uint64_t>());
  for (int left = in.get<std::uint16_t>(); left > 0; --left) {
    std::string key = in.get_text(detail::longest_key);
    hello.settings.push_back({std::move(key), in.get_text(detail::longest_value)});
  }
  in.expect_end();
  if (const std::string fault = detail::hello_fault(hello); !fault.empty())
    in.refuse(Reason::malformed, {fault});
  return {std::move(hello)};
}

/// The first difference between a client's settings and the server's, if there is one.
///
/// Errors  std::invalid_argument for own settings that could not be sent.
inline std::optional<Refusal> compare_settings(const Settings& client, const Settings& server) {
  if (const std::string fault = detail::settings_fault(server); !fault.empty())
    throw std::invalid_argument("settings: " + fault);
  for (const Setting& mine : server) {
    const Setting* other = detail::find(client, mine.key);
    if (other == nullptr) return Refusal{mine.key, "no such setting", mine.value};
    if (mine.value != any_value && other->value != mine.value)
      return Refusal{mine.key, other->value, mine.value};
  }
  for (const Setting& other : client)
    if (detail::find(server, other.key) == nullptr)
      return Refusal{other.key, other.value, "no such setting"};
  return std::nullopt;
}

/// The payload of a refusal: field, client's value and server's value as texts, cut if too long.
inline std::vector<std::byte> refusal_payload(const Refusal& refusal) {
  std::vector<std::byte> payload;
  ByteWriter out{payload};
  out.put_text(refusal.field.substr(0, detail::longest_key));
  out.put_text(refusal.client.substr(0, detail::longest_value));
  out.put_text(refusal.server.substr(0, detail::longest_value));
  return payload;
}

/// Reads a refusal, as printable texts. Errors  WireError: truncated, too_long or malformed.
inline Refusal read_refusal(Bytes payload) {
  ByteReader in{payload, "refuse"};
  const auto text = [&](std::size_t longest) { return detail::printable(in.get_text(longest)); };
  Refusal refusal{.field = text(detail::longest_key),
                  .client = text(detail::longest_value),
                  .server = text(detail::longest_value)};
  in.expect_end();
  return refusal;
}

/// The payload of a welcome.
///
///   u16 version   u32 capabilities in use (none exist yet)   u64 largest message
///   u32 heartbeat, in milliseconds   u64 u64 session id   u32 connection number   u64 last step
///   u8 1 if both hold a checkpoint of the same step   u64 that step, or 0
inline std::vector<std::byte> welcome_payload(const Welcome& welcome) {
  std::vector<std::byte> payload;
  ByteWriter out{payload};
  out.put(welcome.version, std::uint32_t{0}, welcome.largest_message, welcome.heartbeat_ms);
  out.put(welcome.session[0], welcome.session[1], welcome.connection, welcome.last_step);
  out.put(static_cast<std::uint8_t>(welcome.generation ? 1 : 0), welcome.generation.value_or(0));
  return payload;
}

/// Reads a welcome in answer to `hello`.
///
/// Errors  WireError: truncated or too_long; malformed for a value that hello did not offer.
inline Welcome read_welcome(Bytes payload, const Hello& hello) {
  ByteReader in{payload, "welcome"};
  Welcome welcome;
  std::uint32_t capabilities = 0;
  std::uint8_t common = 0;
  std::uint64_t generation = 0;
  in.get_to(welcome.version, capabilities, welcome.largest_message, welcome.heartbeat_ms);
  in.get_to(welcome.session[0], welcome.session[1], welcome.connection, welcome.last_step);
  in.get_to(common, generation);
  in.expect_end();
  if (common != 0) welcome.generation = generation;

  const auto refuse = [&](TextParts what) {
    in.refuse(Reason::malformed, {joined(what), ": not what hello offered"});
  };
  if (welcome.version < hello.versions.oldest || welcome.version > hello.versions.newest)
    refuse({"version ", welcome.version});
  if (capabilities != 0) refuse({"capabilities ", capabilities});
  if (welcome.largest_message < unadmitted_limit || welcome.largest_message > hello.largest_message)
    refuse({"a largest message of ", welcome.largest_message, " bytes"});
  if (welcome.heartbeat_ms > hello.heartbeat_ms)
    refuse({"a heartbeat of ", welcome.heartbeat_ms, " ms"});
  if (welcome.session == SessionId{} ||
      (hello.session != SessionId{} && welcome.session != hello.session))
    refuse({"another session"});
  if (welcome.connection <= hello.connection) refuse({"connection ", welcome.connection});
  const auto& offered = hello.generations;
  const bool is_known = std::find(offered.begin(), offered.end(), generation) != offered.end();
  if (common > 1 || (common == 0 ? generation != 0 : !is_known))
    refuse({"generation ", generation});
  return welcome;
}

inline constexpr std::size_t longest_error_text = 1024;

/// The payload of an error message: u8 reason, and a text, which is cut after 1024 characters.
inline std::vector<std::byte> error_payload(Reason reason, const std::string& text) {
  std::vector<std::byte> payload;
  ByteWriter out{payload};
  out.put(static_cast<std::uint8_t>(reason));
  out.put_text(text.substr(0, longest_error_text));
  return payload;
}

/// Errors  WireError, always: peer_failed with the peer's text, or malformed, truncated, too_long.
[[noreturn]] inline void throw_peer_error(Bytes payload) {
  ByteReader in{payload, "error message"};
  [[maybe_unused]] const auto reason = in.get<std::uint8_t>();  // the text says it in words
  const std::string text = in.get_text(longest_error_text);
  in.expect_end();
  throw WireError(Reason::peer_failed, {"the peer gave up: ", detail::printable(text)});
}

}  // namespace splitvit::inline SPLITVIT_BUILD::wire
