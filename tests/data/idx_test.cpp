// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <vector>

#include <splitvit/data/idx.hpp>

#include "support/catch.hpp"
#include "support/real_data.hpp"
#include "support/storage_error.hpp"
#include "support/temporary_folder.hpp"

using namespace splitvit;
using support::complaint_of;
using support::fails_with;

namespace {

using Bytes = std::vector<std::byte>;

/// Big-endian numbers, then bytes 0, 1, 2, ...
Bytes idx(std::initializer_list<std::uint32_t> header, std::size_t rest) {
  Bytes out;
  for (const std::uint32_t number : header)
    for (int shift = 24; shift >= 0; shift -= 8)
      out.push_back(static_cast<std::byte>((number >> shift) & 255u));
  for (std::size_t i = 0; i < rest; ++i) out.push_back(static_cast<std::byte>(i & 255u));
  return out;
}

Reason image_reason(const Bytes& bytes) {
  const auto said = complaint_of([&] { data::parse_idx_images(bytes, "images"); });
  REQUIRE(said);
  CHECK_THAT(said->text, ContainsSubstring("images: byte "));
  return said->reason;
}

Reason label_reason(const Bytes& bytes) {
  const auto said = complaint_of([&] { data::parse_idx_labels(bytes, "labels"); });
  REQUIRE(said);
  CHECK_THAT(said->text, ContainsSubstring("labels: byte "));
  return said->reason;
}

}  // namespace

TEST_CASE("idx: grey and colour images", "[data]") {
  const auto grey = data::parse_idx_images(idx({0x803, 2, 3, 4}, 24), "images");
  CHECK(grey.shape() == Shape{2, 1, 3, 4});
  CHECK(grey[23] == 23);
  const auto colour = data::parse_idx_images(idx({0x804, 2, 3, 1, 2}, 12), "images");
  CHECK(colour.shape() == Shape{2, 3, 1, 2});
  CHECK(data::parse_idx_images(idx({0x803, 0, 3, 4}, 0), "images").shape() == Shape{0, 1, 3, 4});
}

TEST_CASE("idx: labels of 8 and 16 bits", "[data]") {
  CHECK(data::parse_idx_labels(idx({0x801, 3}, 3), "labels") == std::vector<Index>{0, 1, 2});
  CHECK(data::parse_idx_labels(idx({0xB01, 2}, 4), "labels") == std::vector<Index>{1, 515});
}

TEST_CASE("idx: cut anywhere, a file is refused", "[data]") {
  const Bytes images = idx({0x804, 2, 3, 1, 2}, 12);
  for (std::size_t size = 0; size < images.size(); ++size)
    CHECK(image_reason({images.begin(), images.begin() + static_cast<std::ptrdiff_t>(size)}) ==
          (size < 4 ? Reason::foreign_file : Reason::damaged_file));
  const Bytes labels = idx({0xB01, 2}, 4);
  for (std::size_t size = 0; size < labels.size(); ++size)
    CHECK(label_reason({labels.begin(), labels.begin() + static_cast<std::ptrdiff_t>(size)}) ==
          (size < 4 ? Reason::foreign_file : Reason::damaged_file));
}

TEST_CASE("idx: each number of the header is checked", "[data]") {
  constexpr std::uint32_t huge = 0xffffffff;
  CHECK(image_reason(idx({0x801, 2, 3, 4}, 24)) == Reason::foreign_file);
  CHECK(image_reason(idx({0x03080000, 2, 3, 4}, 24)) == Reason::foreign_file);
  CHECK(image_reason(idx({0x1f8b0808, 2, 3, 4}, 24)) == Reason::foreign_file);  // gzip
  CHECK(image_reason(idx({0x803, 3, 3, 4}, 24)) == Reason::damaged_file);
  CHECK(image_reason(idx({0x803, 2, 3, 4}, 25)) == Reason::damaged_file);
  CHECK(image_reason(idx({0x803, huge, 65536, 65536}, 24)) == Reason::damaged_file);
  CHECK(image_reason(idx({0x803, 2, 0, 4}, 0)) == Reason::wrong_content);
  CHECK(image_reason(idx({0x803, 2, 3, 65537}, 24)) == Reason::wrong_content);
  CHECK(image_reason(idx({0x803, 2, huge, huge}, 24)) == Reason::wrong_content);
  CHECK(image_reason(idx({0x804, 2, 2, 3, 2}, 24)) == Reason::wrong_content);
  CHECK(label_reason(idx({0x803, 3}, 3)) == Reason::foreign_file);
  CHECK(label_reason(idx({0x801, 2}, 3)) == Reason::damaged_file);
  CHECK(label_reason(idx({0x801, huge}, 3)) == Reason::damaged_file);
  CHECK(label_reason(idx({0xB01, 1, 0x80000000}, 0)) == Reason::damaged_file);
  Bytes negative = idx({0xB01, 1}, 0);
  negative.insert(negative.end(), {std::byte{0xff}, std::byte{0xff}});
  CHECK(label_reason(negative) == Reason::wrong_content);
}

TEST_CASE("read_idx: images and labels belong together", "[data]") {
  const support::TemporaryFolder folder;
  folder.write("a-images.idx4", idx({0x804, 2, 3, 1, 2}, 12));
  folder.write("a-labels.idx1", idx({0x801, 2}, 2));
  folder.write("b-images-idx3-ubyte", idx({0x803, 3, 2, 2}, 12));
  folder.write("b-labels-idx1-ubyte", idx({0x801, 2}, 2));
  folder.write("none-images.idx4", idx({0x804, 0, 3, 1, 2}, 0));
  folder.write("none-labels.idx1", idx({0x801, 0}, 0));
  const auto files = [&](const std::string& prefix) {
    return data::idx_files((folder.path() / prefix).string());
  };
  const data::ImageSet set = data::read_idx(files("a"));
  CHECK(set.size() == 2);
  CHECK(set.classes() == 2);
  CHECK(set.image_shape() == Shape{3, 1, 2});
  CHECK(data::read_idx(files("a"), {.classes = 10}).classes() == 10);
  CHECK(fails_with(Reason::wrong_content, [&] { data::read_idx(files("a"), {.classes = 1}); }));
  CHECK(fails_with(Reason::wrong_content, [&] { data::read_idx(files("b")); }));
  CHECK(fails_with(Reason::wrong_content, [&] { data::read_idx(files("none")); }));
  CHECK(fails_with(Reason::cannot_open, [&] { data::read_idx(files("c")); }));
  CHECK(fails_with(Reason::too_long, [&] { data::read_idx(files("a"), {.limit = 20}); }));
  CHECK(data::read_idx(files("a"), files("a")).test.size() == 2);
}

TEST_CASE("read_idx: the test files of MNIST", "[data]") {
  const auto images = support::real_data("mnist-t10k/t10k-images-idx3-ubyte.gz");
  if (!images) return;
  const support::TemporaryFolder folder;
  for (const char* file : {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}) {
    const std::string unpack = "gzip -dc '" + (images->parent_path() / file).string() + ".gz' > '" +
                               (folder.path() / file).string() + "'";
    REQUIRE(std::system(unpack.c_str()) == 0);
  }
  const auto set = data::read_idx(data::idx_files((folder.path() / "t10k").string()));
  CHECK(set.size() == 10000);
  CHECK(set.classes() == 10);
  CHECK(set.image_shape() == Shape{1, 28, 28});
  const std::vector<std::ptrdiff_t> wanted{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009};
  for (Index label = 0; label < 10; ++label)
    CHECK(std::ranges::count(set.labels, label) == wanted[static_cast<std::size_t>(label)]);
}
