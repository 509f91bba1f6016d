// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include <splitvit/data/idx.hpp>
#include <splitvit/images/idx_gz.hpp>

#include "support/catch.hpp"
#include "support/compressed_bytes.hpp"
#include "support/real_data.hpp"
#include "support/storage_error.hpp"
#include "support/temporary_folder.hpp"

using namespace splitvit;

namespace {

support::PlainBytes bytes_of(std::initializer_list<int> values) {
  support::PlainBytes out;
  for (const int value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}

}  // namespace

TEST_CASE("read_idx_or_gz: compressed or not, each file for itself", "[images]") {
  const auto images = bytes_of({0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 10, 20, 30, 40});
  const auto labels = bytes_of({0, 0, 8, 1, 0, 0, 0, 2, 1, 0});
  const support::TemporaryFolder folder;
  const auto plain_images = folder.write("images", images);
  const auto plain_labels = folder.write("labels", labels);
  const auto packed_images = folder.write("images.gz", support::gzipped(images));
  const auto packed_labels = folder.write("labels.gz", support::gzipped(labels));
  for (const auto& image_file : {plain_images, packed_images})
    for (const auto& label_file : {plain_labels, packed_labels}) {
      const data::IdxFiles files{.images = image_file, .labels = label_file};
      const auto set = images::read_idx_or_gz(files);
      CHECK(set.labels == std::vector<Index>{1, 0});
      CHECK(set.images[3] == 40);
      CHECK(images::read_idx_or_gz(files, files).test.size() == 2);
    }
  // Without zlib it is named, at least.
  const auto said = support::complaint_of(
      [&] { data::read_idx({.images = packed_images, .labels = plain_labels}); });
  REQUIRE(said);
  CHECK(said->reason == Reason::foreign_file);
  CHECK_THAT(said->text, ContainsSubstring("compressed with gzip"));
  CHECK(support::fails_with(Reason::too_long, [&] {
    images::read_idx_or_gz({.images = packed_images, .labels = plain_labels}, {.limit = 12});
  }));
}

TEST_CASE("read_idx_or_gz: the test files of MNIST", "[images]") {
  const auto images = support::real_data("mnist-t10k/t10k-images-idx3-ubyte.gz");
  if (!images) return;
  const auto set = images::read_idx_or_gz(
      {.images = *images, .labels = images->parent_path() / "t10k-labels-idx1-ubyte.gz"});
  CHECK(set.size() == 10000);
  CHECK(set.image_shape() == Shape{1, 28, 28});
  CHECK(std::ranges::count(set.labels, 3) == 1010);
}
