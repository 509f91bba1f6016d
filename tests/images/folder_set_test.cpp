// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <splitvit/core/parallel.hpp>
#include <splitvit/data/loader.hpp>
#include <splitvit/images/folder_set.hpp>

#include "support/catch.hpp"
#include "support/image_bytes.hpp"
#include "support/storage_error.hpp"
#include "support/temporary_folder.hpp"

using namespace splitvit;
using images::FolderSet;
using images::OnBadFile;

namespace {

/// Two classes of three PNG files each: image k has k + 1 rows of four pixels, all of value k.
struct SixImages {
  support::TemporaryFolder folder;

  SixImages() {
    for (const char* name : {"a", "b"}) std::filesystem::create_directory(folder.path() / name);
    for (unsigned k = 0; k < 6; ++k)
      write(k,
            support::png_bytes(
                k + 1, 4, std::vector<std::uint8_t>(12 * (k + 1), static_cast<std::uint8_t>(k))));
  }
  void write(unsigned k, const support::FileBytes& bytes) const {
    folder.write(std::string{k < 3 ? "a" : "b"} + "/" + std::to_string(k) + ".png", bytes);
  }
  FolderSet set(const images::FolderOptions& options = {}) const {
    return FolderSet{images::list_folder(folder.path()), options};
  }
};

const support::FileBytes no_image(20);

}  // namespace

TEST_CASE("FolderSet: images of their own sizes", "[images]") {
  const SixImages six;
  const FolderSet set = six.set();
  CHECK(set.size() == 6);
  CHECK(set.classes() == 2);
  CHECK(set.class_names() == std::vector<std::string>{"a", "b"});
  CHECK(set.image_shape() == Shape{3, 0, 0});
  for (Index k = 0; k < 6; ++k) {
    CHECK(set.label(k) == k / 3);
    const auto image = set.image(k);
    CHECK(image.shape() == Shape{3, k + 1, 4});
    CHECK(std::ranges::count(image.span(), k) == 12 * (k + 1));
  }
  CHECK_THROWS_AS(set.image(6), std::out_of_range);
  CHECK(set.kept_bytes() == 12 * 21);
}

TEST_CASE("FolderSet: images of one size, as Resizer makes them", "[images]") {
  const SixImages six;
  const FolderSet own = six.set();
  const FolderSet set = six.set({.image = 5});
  CHECK(set.image_shape() == Shape{3, 5, 5});
  for (Index k = 0; k < 6; ++k) {
    std::vector<std::uint8_t> wanted(75);
    data::Resizer{k + 1, 4, 5, 5}(3, own.image(k).span(), wanted);
    CHECK(std::ranges::equal(set.image(k).span(), wanted));
  }
  CHECK_THROWS_AS(six.set({.image = -1}), std::invalid_argument);
}

TEST_CASE("FolderSet: the same images, whatever is kept", "[images]") {
  const SixImages six;
  const FolderSet all = six.set({.image = 4});
  for (const std::uintmax_t memory : {0u, 47u, 48u, 100u, 288u}) {
    const FolderSet set = six.set({.image = 4, .memory = memory});
    CHECK(set.kept_bytes() == memory / 48 * 48);
    for (Index k = 0; k < 6; ++k)
      CHECK(std::ranges::equal(set.image(k).span(), all.image(k).span()));
  }
  const data::LoaderOptions options{.batch = 4, .image = 4, .seed = 3};
  const FolderSet none = six.set({.memory = 0});
  auto first = data::Loader<float, FolderSet>{all, options}.epoch(1);
  auto second = data::Loader<float, FolderSet>{none, options}.epoch(1);
  while (const auto wanted = first.next())
    CHECK(std::ranges::equal(second.next()->images.span(), wanted->images.span()));
}

TEST_CASE("FolderSet: the first bad file is refused, with any number of threads", "[images]") {
  const SixImages six;
  six.write(4, no_image);
  six.write(2, no_image);
  for (const int threads : {1, 4}) {
    const auto said = support::complaint_of([&] { with_threads(threads, [&] { six.set(); }); });
    REQUIRE(said);
    CHECK(said->reason == Reason::foreign_file);
    CHECK_THAT(said->text, ContainsSubstring("a/2.png: "));
  }
}

TEST_CASE("FolderSet: bad files are skipped and counted", "[images]") {
  const SixImages six;
  six.write(4, no_image);
  six.write(2, {});
  const FolderSet set = six.set({.on_bad_file = OnBadFile::skip});
  CHECK(set.size() == 4);
  REQUIRE(set.skipped().size() == 2);
  CHECK_THAT(set.skipped()[0], ContainsSubstring("a/2.png: an empty file"));
  CHECK_THAT(set.skipped()[1], ContainsSubstring("b/4.png: "));
  CHECK(set.image(2).dim(1) == 4);
  CHECK(set.label(2) == 1);
  CHECK(set.path(2).filename() == "3.png");
  // A class without any image is refused all the same.
  six.write(3, no_image);
  six.write(5, no_image);
  const auto said = support::complaint_of([&] { six.set({.on_bad_file = OnBadFile::skip}); });
  REQUIRE(said);
  CHECK_THAT(said->text, ContainsSubstring("class 'b': not one image can be read"));
}

TEST_CASE("FolderSet: a file that goes away later is named", "[images]") {
  const SixImages six;
  const FolderSet set = six.set({.memory = 0});
  std::filesystem::remove(six.folder.path() / "b/3.png");
  const auto said = support::complaint_of([&] { set.image(3); });
  REQUIRE(said);
  CHECK(said->reason == Reason::cannot_open);
}

TEST_CASE("FolderSet: says how far it is", "[images]") {
  const SixImages six;
  std::vector<Index> calls;
  six.set({.progress = [&](Index read, Index files) {
    CHECK(files == 6);
    calls.push_back(read);
  }});
  CHECK(calls == std::vector<Index>{6});
}
