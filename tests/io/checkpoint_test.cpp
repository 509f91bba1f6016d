// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <splitvit/core/bytes.hpp>
#include <splitvit/core/crc32c.hpp>
#include <splitvit/io/checkpoint.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/some_state.hpp"
#include "support/storage_error.hpp"

using namespace splitvit;

namespace {

struct OtherState {
  std::uint64_t other = 5;
  void each_state(auto&& see) { see(std::string{"other"}, other); }
};

io::Checkpoint sample_checkpoint() {
  io::Checkpoint checkpoint{
      {.session = {0x0123456789abcdef, 2}, .step = 123, .settings = {{"cut", "6"}, {"seed", "1"}}}};
  test::SomeState learnt;
  checkpoint.add("learnt", learnt);
  checkpoint.sections["empty"];
  return checkpoint;
}

std::optional<support::Complaint> checkpoint_complaint(std::span<const std::byte> bytes) {
  return support::complaint_of([&] { io::parse_checkpoint(bytes, "gen"); });
}

/// Replaces a u32 of a file and makes the checksums of head and file right again.
std::vector<std::byte> with_number(std::vector<std::byte> bytes, std::size_t at,
                                   std::uint32_t number) {
  const auto put = [&bytes](std::size_t to, std::uint32_t value) {
    std::vector<std::byte> four;
    ByteWriter{four}.put(value);
    std::copy(four.begin(), four.end(), bytes.begin() + static_cast<std::ptrdiff_t>(to));
  };
  const auto head = ByteReader{std::span{bytes}.subspan(12)}.get<std::uint32_t>();
  put(at, number);
  put(head - 4, crc32c(std::span{bytes}.first(head - 4)));
  put(bytes.size() - 4, crc32c(std::span{bytes}.first(bytes.size() - 4)));
  return bytes;
}

}  // namespace

TEST_CASE("checkpoint: what is written is read again", "[io]") {
  const io::Checkpoint checkpoint = sample_checkpoint();
  const auto bytes = io::format_checkpoint(checkpoint);
  const io::Checkpoint back = io::parse_checkpoint(bytes, "gen");
  CHECK(static_cast<const io::CheckpointHead&>(back) == checkpoint);
  CHECK(back.sections == checkpoint.sections);
  CHECK(back.source == "gen");
  CHECK(io::check_checkpoint(bytes, "gen") == checkpoint);
  CHECK(io::format_checkpoint(back) == bytes);

  test::SomeState other{
      .steps = 0, .loss = 0, .rows = {}, .reply = {}, .weights = {}, .moments = {}};
  back.restore("learnt", other);
  CHECK(other == test::SomeState{});

  const io::Checkpoint nothing =
      io::parse_checkpoint(io::format_checkpoint(io::Checkpoint{}), "gen");
  CHECK(nothing.sections.empty());
  CHECK(static_cast<const io::CheckpointHead&>(nothing) == io::CheckpointHead{});
}

TEST_CASE("checkpoint: byte for byte", "[io]") {
  io::Checkpoint checkpoint{{.session = {1, 2}, .step = 3, .settings = {{"k", "v"}}}};
  checkpoint.sections["s"] = test::bytes_of("123456789");
  std::vector<std::byte> wanted = test::bytes_of("SVITCKPT");
  ByteWriter out{wanted};
  out.put(std::uint32_t{1}, std::uint32_t{87}, std::uint64_t{100});
  out.put(std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{3});
  out.put(std::uint32_t{1});
  out.put_text("k");
  out.put_text("v");
  out.put(std::uint32_t{1});
  out.put_text("s");
  out.put(std::uint64_t{9}, std::uint32_t{0xE3069283});
  out.put(crc32c(wanted));
  out.put_bytes(test::bytes_of("123456789"));
  out.put(crc32c(wanted));
  CHECK(io::format_checkpoint(checkpoint) == wanted);
}

TEST_CASE("checkpoint: cut anywhere, or with any bit changed, it is refused", "[io]") {
  const auto bytes = io::format_checkpoint(sample_checkpoint());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto said = checkpoint_complaint(std::span{bytes}.first(size));
    REQUIRE(said);
    REQUIRE(said->reason == Reason::damaged_file);
    REQUIRE(said->text.starts_with("gen: "));
  }
  auto longer = bytes;
  longer.push_back(std::byte{0});
  CHECK(checkpoint_complaint(longer).value().reason == Reason::damaged_file);
  for (std::size_t at = 0; at < bytes.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      auto changed = bytes;
      changed[at] ^= static_cast<std::byte>(1 << bit);
      const auto said = checkpoint_complaint(changed);
      REQUIRE(said);
      REQUIRE(said->reason == (at < 8    ? Reason::foreign_file
                               : at < 12 ? Reason::bad_version
                                         : Reason::damaged_file));
    }
}

TEST_CASE("checkpoint: messages say what came and what was wanted", "[io]") {
  const auto bytes = io::format_checkpoint(sample_checkpoint());
  CHECK(checkpoint_complaint(test::bytes_of("{\"a\": 1}    "))->text == "gen: not a checkpoint");
  CHECK(checkpoint_complaint({})->text == "gen: only 0 bytes: not a whole checkpoint");
  CHECK(checkpoint_complaint(with_number(bytes, 8, 2))->text ==
        "gen: a checkpoint of version 2, wanted version 1");
  auto damaged = bytes;
  damaged[bytes.size() - 5] ^= std::byte{1};
  CHECK(checkpoint_complaint(damaged)->text == "gen: the checksum of section 'learnt' is wrong");
}

TEST_CASE("checkpoint: sizes and names in a valid head are checked", "[io]") {
  // At 24: session, step; 48: settings; 52: "cut" "6" "seed" "1"; sections from 77.
  const auto bytes = io::format_checkpoint(sample_checkpoint());
  const auto reason = [&](std::size_t at, std::uint32_t number) {
    const auto said = checkpoint_complaint(with_number(bytes, at, number));
    return said ? said->reason : Reason::closed;
  };
  REQUIRE(checkpoint_complaint(with_number(bytes, 48, 2)) == std::nullopt);
  constexpr std::uint32_t huge = 0xFFFFFFFF;
  CHECK(reason(16, huge) == Reason::damaged_file);  // size of the file
  CHECK(reason(48, huge) == Reason::damaged_file);  // settings
  CHECK(reason(48, 1) == Reason::damaged_file);
  CHECK(reason(52, huge) == Reason::damaged_file);  // a key
  CHECK(reason(77, huge) == Reason::damaged_file);  // sections
  CHECK(reason(77, 0) == Reason::damaged_file);
  CHECK(reason(81, huge) == Reason::damaged_file);  // a name
  CHECK(reason(90, huge) == Reason::damaged_file);  // a section's size
  CHECK(reason(94, huge) == Reason::damaged_file);  // its upper half
  for (const std::uint32_t head : {0u, 24u, 27u, 1u << 21, huge}) {
    auto changed = bytes;
    std::vector<std::byte> four;
    ByteWriter{four}.put(head);
    std::copy(four.begin(), four.end(), changed.begin() + 12);
    CHECK(checkpoint_complaint(changed).value().reason == Reason::damaged_file);
  }

  // A section less than the head says, or a byte more behind the last one.
  auto longer = bytes;
  longer.push_back(std::byte{0});
  std::vector<std::byte> size;
  ByteWriter{size}.put(std::uint64_t{longer.size()});
  std::copy(size.begin(), size.end(), longer.begin() + 16);
  CHECK_THAT(checkpoint_complaint(with_number(longer, 48, 2))->text,
             ContainsSubstring("1 byte behind the last section"));

  io::Checkpoint twice{{.settings = {{"a", ""}, {"b", ""}}}};
  twice.sections["c"];
  twice.sections["d"];
  auto same = io::format_checkpoint(twice);
  // "b" becomes "a": its length lies at 61, the letter at 65.
  CHECK(same[65] == std::byte{'b'});
  same[65] = std::byte{'a'};
  CHECK_THAT(checkpoint_complaint(with_number(same, 61, 1))->text,
             ContainsSubstring("setting 'a' is there twice"));
  same[65] = std::byte{'b'};
  CHECK(same[95] == std::byte{'d'});
  same[95] = std::byte{'c'};
  CHECK_THAT(checkpoint_complaint(with_number(same, 91, 1))->text,
             ContainsSubstring("section 'c' is there twice"));
}

TEST_CASE("checkpoint: a head that is too long cannot be written", "[io]") {
  io::Checkpoint checkpoint;
  checkpoint.settings["key"] = std::string(io::checkpoint_head_limit, 'x');
  CHECK_THROWS_AS(io::format_checkpoint(checkpoint), std::invalid_argument);
}

TEST_CASE("checkpoint: a state that is referred to is written as its copy is", "[io]") {
  test::SomeState state;
  io::Checkpoint copied{{.step = 3}}, referred{{.step = 3}};
  copied.add("state", state);
  copied.sections["zero"] = referred.sections["zero"] = std::vector<std::byte>(1'000'000);
  referred.refer("state", state);
  CHECK(io::format_checkpoint(referred) == io::format_checkpoint(copied));
  std::size_t pieces = 0;  // short ones are joined, long ones are not cut
  io::checkpoint_pieces(referred)(
      [&](std::span<const std::byte> bytes) { pieces += bytes.empty() ? 0 : 1; });
  CHECK(pieces == 3);
}

TEST_CASE("checkpoint: state that does not fit changes nothing", "[io]") {
  io::Checkpoint checkpoint = sample_checkpoint();
  checkpoint.source = "gen";
  OtherState other;
  const auto said = support::complaint_of([&] { checkpoint.restore("learnt", other); });
  REQUIRE(said);
  CHECK(said->reason == Reason::wrong_content);
  CHECK_THAT(said->text, ContainsSubstring("gen: section 'learnt': "));
  CHECK(other.other == 5);
  CHECK(support::complaint_of([&] { checkpoint.restore("none", other); })->text ==
        "gen: no section 'none' among 2");
}

TEST_CASE("checkpoint: the first setting that differs is named", "[io]") {
  const io::Checkpoint checkpoint = sample_checkpoint();
  const auto said = [&](std::map<std::string, std::string> wanted) {
    const auto complaint = support::complaint_of([&] { checkpoint.require_settings(wanted); });
    CHECK((!complaint || complaint->reason == Reason::wrong_content));
    return complaint ? complaint->text : "";
  };
  CHECK(said({{"cut", "6"}, {"seed", "1"}}) == "");
  CHECK(said({{"cut", "3"}, {"seed", "2"}}) == "checkpoint: cut is '6', wanted '3'");
  CHECK(said({{"cut", "6"}}) == "checkpoint: seed is '1', wanted nothing");
  CHECK(said({{"cut", "6"}, {"more", "x"}, {"seed", "1"}}) ==
        "checkpoint: more is nothing, wanted 'x'");
}
