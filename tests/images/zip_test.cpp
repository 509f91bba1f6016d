// SPDX-License-Identifier: MIT
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <splitvit/images/zip.hpp>

#include "support/catch.hpp"
#include "support/compressed_bytes.hpp"
#include "support/storage_error.hpp"

using namespace splitvit;
using images::ZipArchive;
using support::PlainBytes;

namespace {

const PlainBytes first_file(1000, std::byte{5});
const PlainBytes second_file{std::byte{1}, std::byte{2}};

PlainBytes two_files(bool deflate_them) {
  return support::zip_bytes({{"a.npy", first_file}, {"b", second_file}}, deflate_them);
}

/// The number at `at`, counted from the end of the archive, replaced.
PlainBytes changed(PlainBytes bytes, std::size_t at, int value) {
  bytes[at] = static_cast<std::byte>(value);
  return bytes;
}

}  // namespace

TEST_CASE("ZipArchive: stored and deflated files", "[images]") {
  for (const bool deflate_them : {false, true}) {
    PlainBytes bytes = two_files(deflate_them);
    for (const std::size_t comment : {0u, 10u, 65535u}) {
      PlainBytes longer = bytes;
      longer.resize(bytes.size() + comment);
      const ZipArchive archive{longer, "zip"};
      REQUIRE(archive.entries().size() == 2);
      CHECK(archive.has("b"));
      CHECK_FALSE(archive.has("c"));
      CHECK(archive.read("a.npy") == first_file);
      CHECK(archive.read("b") == second_file);
    }
  }
  CHECK(ZipArchive{support::zip_bytes({}, false), "zip"}.entries().empty());
}

TEST_CASE("ZipArchive: cut anywhere, it is refused", "[images]") {
  const PlainBytes whole = two_files(true);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto said =
        support::complaint_of([&] { ZipArchive{std::span{whole}.first(size), "zip"}; });
    REQUIRE(said);
    CHECK(said->reason == (size < 4 ? Reason::foreign_file : Reason::damaged_file));
  }
}

TEST_CASE("ZipArchive: any byte may be wrong", "[images]") {
  for (const bool deflate_them : {false, true}) {
    const PlainBytes whole = two_files(deflate_them);
    std::size_t refused = 0;
    for (std::size_t at = 0; at < whole.size(); ++at)
      for (const int value : {0, 1, 127, 255}) {
        const PlainBytes bytes = changed(whole, at, value);
        std::vector<PlainBytes> got;
        const auto said = support::complaint_of([&] {
          const ZipArchive archive{bytes, "zip"};
          got = {archive.read("a.npy"), archive.read("b")};
        });
        refused += said ? 1 : 0;
        if (!said) CHECK(got == std::vector<PlainBytes>{first_file, second_file});
      }
    CHECK(refused > 300);  // the others change nothing that matters, such as dates
  }
}

TEST_CASE("ZipArchive: what it does not read, it names", "[images]") {
  const PlainBytes whole = two_files(true);
  const auto refuses = [](const PlainBytes& bytes, const std::string& text) {
    const auto said = support::complaint_of([&] { ZipArchive{bytes, "zip"}.read("b"); });
    REQUIRE(said);
    CHECK_THAT(said->text, ContainsSubstring(text));
  };
  const std::size_t entry = whole.size() - 22 - 47;  // of b in the directory
  refuses(changed(whole, entry + 8, 1), "zip: b: is encrypted");
  refuses(changed(whole, entry + 10, 12), "neither stored nor deflated");
  PlainBytes large = whole;
  for (std::size_t k = 20; k < 24; ++k) large[entry + k] = std::byte{0xFF};
  refuses(large, "needs ZIP64");
  PlainBytes zip64 = whole;
  for (std::size_t k = 16; k < 20; ++k) zip64[whole.size() - 22 + k] = std::byte{0xFF};
  refuses(zip64, "ZIP64");
  refuses(support::zip_bytes({{"a", first_file}}, true), "no 'b' in it");
}
