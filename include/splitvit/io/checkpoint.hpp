// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min, ranges::equal
#include <map>        // map

#include <splitvit/core/bytes.hpp>   // ByteReader, ByteWriter
#include <splitvit/core/crc32c.hpp>  // crc32c
#include <splitvit/core/error.hpp>   // ArgumentError, joined, Reason, StorageError, WireError
#include <splitvit/core/state.hpp>   // each_state_bytes, HasState, set_state_bytes, state_bytes
#include <splitvit/core/text.hpp>    // counted
#include <splitvit/io/file.hpp>      // Pieces, Sink

// A checkpoint as bytes. Numbers are little-endian, a text is a u32 length and its characters:
//
//   8 bytes "SVITCKPT"   u32 version   u32 size of the head   u64 size of the file
//   u64 u64 session id   u64 step
//   u32 how many settings, then key and value of each as texts, keys in order
//   u32 how many sections, then of each its name as a text, u64 size, u32 CRC-32C
//   u32 CRC-32C of all that is above: the head
//   the sections, one after the other
//   u32 CRC-32C of all that is above
//
// Magic and version stay where they are in all versions. The head is checked before its sizes are
// used, so a damaged size is never believed.

namespace splitvit::inline SPLITVIT_BUILD::io {

inline constexpr std::string_view checkpoint_magic = "SVITCKPT";
inline constexpr std::uint32_t checkpoint_version = 1;
/// The most bytes that a head may have.
inline constexpr std::uint32_t checkpoint_head_limit = 1 << 20;

namespace detail {
inline constexpr std::size_t checkpoint_sizes_end = 24;
}

/// What a checkpoint is of. It is read without the sections.
struct CheckpointHead {
  std::array<std::uint64_t, 2> session{};            ///< names the training
  std::uint64_t step = 0;                            ///< the last step that is applied; 0: none
  std::map<std::string, std::string> settings = {};  ///< what must be equal to go on

  friend bool operator==(const CheckpointHead&, const CheckpointHead&) = default;
};

/// A party's state after a step, in named sections.
///
///   Checkpoint checkpoint{{.session = id, .step = 100, .settings = settings}};
///   checkpoint.add("client", client);
struct Checkpoint : CheckpointHead {
  std::map<std::string, std::vector<std::byte>> sections = {};
  std::map<std::string, Pieces> states = {};  ///< sections that are read where they lie
  std::string source = "checkpoint";          ///< for messages: its file

  Checkpoint() = default;
  explicit Checkpoint(CheckpointHead head) : CheckpointHead{std::move(head)} {}

  /// Adds the state of a thing. See core/state.hpp.
  template <HasState Thing>
  void add(const std::string& name, Thing& thing) {
    sections[name] = state_bytes(thing);
  }

  /// The same without a copy: until the checkpoint is written, the thing must live, and stay as it
  /// is.
  template <HasState Thing>
  void refer(const std::string& name, Thing& thing) {
    states[name] = [&thing](const Sink& sink) { each_state_bytes(thing, sink); };
  }

  /// Gives a thing the state that add stored.
  ///
  /// Errors  StorageError (wrong_content) if there is no such section, or if it is the state of
  ///         something else; the thing is then unchanged.
  template <HasState Thing>
  void restore(const std::string& name, Thing& thing) const {
    const auto found = sections.find(name);
    if (found == sections.end())
      throw StorageError(Reason::wrong_content,
                         {source, ": no section '", name, "' among ", sections.size()});
    try {
      set_state_bytes(thing, found->second);
    } catch (const std::invalid_argument& error) {
      throw StorageError(Reason::wrong_content, {source, ": section '", name, "': ", error.what()});
    }
  }

  /// Errors  StorageError (wrong_content) naming the first setting that differs, and both values.
  void require_settings(const std::map<std::string, std::string>& wanted) const {
    const auto value_in = [](const auto& all, const std::string& key) {
      const auto at = all.find(key);
      return at == all.end() ? std::string{"nothing"} : "'" + at->second + "'";
    };
    for (const auto* side : {&settings, &wanted})
      for (const auto& setting : *side)
        if (const std::string &key = setting.first, here = value_in(settings, key),
            there = value_in(wanted, key);
            here != there)
          throw StorageError(Reason::wrong_content,
                             {source, ": ", key, " is ", here, ", wanted ", there});
  }
};

namespace detail {
/// Joins short pieces to longer ones, since each may cost a call of the system.
class JoinedPieces {
 public:
  explicit JoinedPieces(const Sink& sink) : sink_{sink} {}

  void operator()(std::span<const std::byte> bytes) {
    checksum_ = crc32c(bytes, checksum_);
    if (joined_.size() + bytes.size() > longest) flush();
    if (bytes.size() > longest) return sink_(bytes);
    joined_.insert(joined_.end(), bytes.begin(), bytes.end());
  }
  void flush() {
    sink_(joined_);
    joined_.clear();
  }
  /// Of all bytes.
  std::uint32_t checksum() const { return checksum_; }

 private:
  static constexpr std::size_t longest = std::size_t{1} << 18;

  const Sink& sink_;
  std::vector<std::byte> joined_;
  std::uint32_t checksum_ = 0;
};

/// A section of a checkpoint, and what the head says of it.
struct CheckpointSection {
  Pieces pieces;
  std::uint64_t size = 0;
  std::uint32_t checksum = 0;

  explicit CheckpointSection(Pieces p) : pieces{std::move(p)} {
    pieces([this](std::span<const std::byte> bytes) {
      size += bytes.size();
      checksum = crc32c(bytes, checksum);
    });
  }
};
}  // namespace detail

/// The bytes of the file of a checkpoint, which must live and stay as it is. They are the same for
/// equal checkpoints.
/// Errors  std::invalid_argument if settings and names of sections need more than 1 MiB.
inline Pieces checkpoint_pieces(const Checkpoint& checkpoint) {
  std::map<std::string, detail::CheckpointSection> sections;
  for (const auto& entry : checkpoint.sections)
    sections.emplace(entry.first,
                     Pieces{[&bytes = entry.second](const Sink& sink) { sink(bytes); }});
  for (const auto& [name, state] : checkpoint.states) sections.emplace(name, state);

  std::vector<std::byte> fields;  // of the head, behind its sizes
  ByteWriter out{fields};
  out.put(checkpoint.session[0], checkpoint.session[1], checkpoint.step);
  out.put(static_cast<std::uint32_t>(checkpoint.settings.size()));
  for (const auto& [key, value] : checkpoint.settings) {
    out.put_text(key);
    out.put_text(value);
  }
  std::uint64_t size = detail::checkpoint_sizes_end + 8;  // and two checksums
  out.put(static_cast<std::uint32_t>(sections.size()));
  for (const auto& [name, section] : sections) {
    out.put_text(name);
    out.put(section.size, section.checksum);
    size += section.size;
  }
  size += fields.size();
  const std::size_t head_size = detail::checkpoint_sizes_end + fields.size() + 4;
  if (head_size > checkpoint_head_limit)
    throw ArgumentError({"checkpoint: settings and names of sections need ", head_size,
                         " bytes, at most ", checkpoint_head_limit, " are allowed"});

  std::vector<std::byte> head;
  ByteWriter file{head};
  file.put_bytes(std::as_bytes(std::span{checkpoint_magic}));
  file.put(checkpoint_version, static_cast<std::uint32_t>(head_size), size);
  file.put_bytes(fields);
  file.put(crc32c(head));
  return [head = std::move(head), sections = std::move(sections)](const Sink& sink) {
    detail::JoinedPieces all{sink};
    all(head);
    for (const auto& [name, section] : sections)
      section.pieces([&](std::span<const std::byte> bytes) { all(bytes); });
    std::vector<std::byte> end;
    ByteWriter{end}.put(all.checksum());
    all(end);
    all.flush();
  };
}

/// The same in one piece. Errors  as checkpoint_pieces.
inline std::vector<std::byte> format_checkpoint(const Checkpoint& checkpoint) {
  std::vector<std::byte> all;
  checkpoint_pieces(checkpoint)(
      [&](std::span<const std::byte> bytes) { all.insert(all.end(), bytes.begin(), bytes.end()); });
  return all;
}

namespace detail {
struct CheckpointParts {
  CheckpointHead head;
  std::map<std::string, std::span<const std::byte>> sections;
};

/// Checks all of a file and takes it apart. The sections refer to `bytes`.
inline CheckpointParts take_apart(std::span<const std::byte> bytes, const std::string& source) {
  const auto refuse = [&](Reason reason, TextParts why) {
    throw StorageError(reason, {source, ": ", joined(why)});
  };
  const auto damaged = [&](TextParts why) { refuse(Reason::damaged_file, why); };
  const auto magic = std::as_bytes(std::span{checkpoint_magic});
  if (!std::ranges::equal(bytes.first(std::min(bytes.size(), magic.size())),
                          magic.first(std::min(bytes.size(), magic.size()))))
    refuse(Reason::foreign_file, {"not a checkpoint"});
  if (bytes.size() < checkpoint_sizes_end)
    damaged({"only ", counted(bytes.size(), "byte"), ": not a whole checkpoint"});
  try {
    ByteReader sizes{bytes.subspan(magic.size()), source};
    const auto version = sizes.get<std::uint32_t>();
    const std::size_t head = sizes.get<std::uint32_t>();
    const auto size = sizes.get<std::uint64_t>();
    if (version != checkpoint_version)
      refuse(Reason::bad_version,
             {"a checkpoint of version ", version, ", wanted version ", checkpoint_version});
    if (size != bytes.size())
      damaged({counted(bytes.size(), "byte"), ", wanted the ", size, " that it names"});
    if (head < checkpoint_sizes_end + 4 || head > checkpoint_head_limit || head + 4 > size)
      damaged({"a head of ", head, " bytes in a file of ", size});
    const auto require_checksum = [&](std::span<const std::byte> of, std::uint32_t wanted,
                                      const std::string& what) {
      if (crc32c(of) != wanted) damaged({"the checksum of ", what, " is wrong"});
    };
    const auto checksum_at = [&](std::size_t at) {
      return ByteReader{bytes.subspan(at, 4)}.get<std::uint32_t>();
    };
    require_checksum(bytes.first(head - 4), checksum_at(head - 4), "its head");

    CheckpointParts parts;
    ByteReader in{bytes.first(head - 4).subspan(checkpoint_sizes_end), source};
    in.get_to(parts.head.session[0], parts.head.session[1], parts.head.step);
    // Texts are at least four bytes of the head, which bounds how many there are.
    for (auto left = in.get<std::uint32_t>(); left > 0; --left) {
      std::string key = in.get_text(in.left());
      if (!parts.head.settings.emplace(key, in.get_text(in.left())).second)
        damaged({"setting '", key, "' is there twice"});
    }
    auto rest = bytes.first(bytes.size() - 4).subspan(head);
    for (auto left = in.get<std::uint32_t>(); left > 0; --left) {
      const std::string name = in.get_text(in.left());
      const auto wanted = in.get<std::uint64_t>();
      const auto checksum = in.get<std::uint32_t>();
      if (wanted > rest.size())
        damaged({"section '", name, "' of ", wanted, " bytes, ", rest.size(), " are left"});
      const auto section = rest.first(static_cast<std::size_t>(wanted));
      rest = rest.subspan(section.size());
      require_checksum(section, checksum, "section '" + name + "'");
      if (!parts.sections.emplace(name, section).second)
        damaged({"section '", name, "' is there twice"});
    }
    in.expect_end();
    if (!rest.empty()) damaged({counted(rest.size(), "byte"), " behind the last section"});
    require_checksum(bytes.first(bytes.size() - 4), checksum_at(bytes.size() - 4), "the file");
    return parts;
  } catch (const WireError& error) {
    throw StorageError(Reason::damaged_file, error.what());
  }
}
}  // namespace detail

/// Checks all of a file; `source` names it in messages.
///
/// Errors  StorageError: foreign_file for another format, bad_version for another version,
///         damaged_file for anything else that is wrong.
inline CheckpointHead check_checkpoint(std::span<const std::byte> bytes,
                                       const std::string& source) {
  return detail::take_apart(bytes, source).head;
}

/// Reads a file. Errors  as check_checkpoint.
inline Checkpoint parse_checkpoint(std::span<const std::byte> bytes, const std::string& source) {
  detail::CheckpointParts parts = detail::take_apart(bytes, source);
  Checkpoint checkpoint{std::move(parts.head)};
  for (const auto& [name, section] : parts.sections)
    checkpoint.sections.emplace(name, std::vector<std::byte>{section.begin(), section.end()});
  checkpoint.source = source;
  return checkpoint;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::io
