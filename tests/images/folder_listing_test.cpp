// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <splitvit/images/folder_listing.hpp>

#include "support/catch.hpp"
#include "support/image_bytes.hpp"
#include "support/storage_error.hpp"
#include "support/temporary_folder.hpp"

using namespace splitvit;
using images::FolderListing;

namespace {

/// Puts files into a folder: names with their sub-folders. What is in them does not matter here.
void put(const support::TemporaryFolder& folder, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    std::filesystem::create_directories((folder.path() / name).parent_path());
    folder.write(name, {});
  }
}

std::vector<std::string> names_of(const FolderListing& listing) {
  std::vector<std::string> out;
  for (const auto& file : listing.files)
    out.push_back(listing.classes[static_cast<std::size_t>(file.label)] + ":" +
                  file.path.filename().string());
  return out;
}

}  // namespace

TEST_CASE("list_folder: classes by folder, in order", "[images]") {
  const support::TemporaryFolder folder;
  put(folder, {"all/zebra/b.jpg", "all/zebra/a.PNG", "all/ape/deep/er/x.jpeg",
               "all/ape/.hidden.jpg", "all/ape/.thumbs/x.jpg", "all/ape/notes.txt",
               "all/ape/Thumbs.db", "all/.git/x.jpg", "all/labels.csv"});
  folder.write("all/ape/no_extension", support::png_bytes(1, 1, {1, 2, 3}));
  const FolderListing listing = images::list_folder(folder.path() / "all");
  CHECK(listing.name == "all");
  CHECK(images::list_folder(folder.path() / "all/").name == "all");
  CHECK(listing.classes == std::vector<std::string>{"ape", "zebra"});
  CHECK(names_of(listing) ==
        std::vector<std::string>{"ape:x.jpeg", "ape:no_extension", "zebra:a.PNG", "zebra:b.jpg"});
}

TEST_CASE("list_folder: what it refuses, it names", "[images]") {
  const support::TemporaryFolder folder;
  const auto refuses = [&](const std::string& name, Reason reason, const std::string& text) {
    const auto said = support::complaint_of([&] { images::list_folder(folder.path() / name); });
    REQUIRE(said);
    CHECK(said->reason == reason);
    CHECK_THAT(said->text, ContainsSubstring(name) && ContainsSubstring(text));
  };
  put(folder, {"flat/a.jpg", "flat/b.jpg", "gap/one/a.jpg", "gap/two/notes.txt", "void/notes.txt"});
  refuses("missing", Reason::cannot_open,
          "No such file or directory, wanted a folder with a sub-folder");
  refuses("flat/a.jpg", Reason::cannot_open, "Not a directory");
  refuses("flat", Reason::wrong_content, "images without classes, wanted a sub-folder");
  refuses("void", Reason::wrong_content, "no images, wanted a sub-folder");
  refuses("gap", Reason::wrong_content, "two: no images, wanted JPEG or PNG files");
}

TEST_CASE("list_folders: labels are those of the training folder", "[images]") {
  const support::TemporaryFolder folder;
  put(folder, {"train/a/1.jpg", "train/b/1.jpg", "train/c/1.jpg", "test/c/2.jpg", "test/b/2.jpg",
               "other/d/2.jpg"});
  const auto at = [&](const char* name) { return folder.path() / name; };
  const auto pair = images::list_folders(at("train"), at("test"));
  CHECK(names_of(pair.test) == std::vector<std::string>{"b:2.jpg", "c:2.jpg"});
  CHECK(pair.test.classes == pair.train.classes);
  const auto said = support::complaint_of([&] { images::list_folders(at("train"), at("other")); });
  REQUIRE(said);
  CHECK(said->reason == Reason::wrong_content);
  CHECK_THAT(said->text, ContainsSubstring("there is no class 'd' in"));
}

TEST_CASE("divide: a share of each class, the same every time", "[images]") {
  FolderListing all{.name = "all", .classes = {"a", "b", "c"}, .files = {}};
  const std::vector<int> sizes{10, 2, 1};
  for (int label = 0; label < 3; ++label)
    for (int i = 0; i < sizes[static_cast<std::size_t>(label)]; ++i)
      all.files.push_back({std::to_string(i) + ".jpg", label});
  const auto pair = images::divide(all, 0.3);
  const auto count = [](const FolderListing& listing, Index label) {
    return std::ranges::count(listing.files, label, &FolderListing::File::label);
  };
  CHECK(count(pair.test, 0) == 3);
  CHECK(count(pair.test, 1) == 1);
  CHECK(count(pair.test, 2) == 0);  // its only image is needed for training
  CHECK(count(pair.train, 0) == 7);
  CHECK(count(pair.train, 1) == 1);
  CHECK(count(pair.train, 2) == 1);
  CHECK(names_of(images::divide(all, 0.3).test) == names_of(pair.test));
  CHECK(count(images::divide(all, 0.99).train, 0) == 1);
  CHECK(count(images::divide(all, 0.001).test, 0) == 1);
  std::set<std::string> together;
  for (const auto* part : {&pair.train, &pair.test})
    for (const std::string& name : names_of(*part)) together.insert(name);
  CHECK(together.size() == 13);
  CHECK(std::ranges::is_sorted(pair.train.files, {}, &FolderListing::File::label));
  for (const double share : {0.0, 1.0, -1.0, 2.0})
    CHECK_THROWS_AS(images::divide(all, share), std::invalid_argument);
}
