// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <splitvit/images/npz.hpp>

#include "support/catch.hpp"
#include "support/compressed_bytes.hpp"
#include "support/storage_error.hpp"
#include "support/temporary_folder.hpp"

using namespace splitvit;
using support::npy_bytes;
using support::PlainBytes;

namespace {

using Files = std::vector<std::pair<std::string, PlainBytes>>;

Files small_set() {
  return {{"train_images.npy", npy_bytes("|u1", "(2, 1, 2)", {10, 20, 30, 40})},
          {"train_labels.npy", npy_bytes("|u1", "(2, 1)", {0, 2})},
          {"val_images.npy", npy_bytes("<f8", "(1,)", std::vector<std::uint8_t>(8))},
          {"test_images.npy", npy_bytes("|u1", "(1, 1, 2)", {50, 60})},
          {"test_labels.npy", npy_bytes("<i8", "(1,)", {4, 0, 0, 0, 0, 0, 0, 0})}};
}

void check_npy_refused(const PlainBytes& npy, Reason reason, const std::string& text) {
  const auto said = support::complaint_of([&] {
    const auto array = images::parse_npy(npy, "array");
    images::npy_labels(array, "array");
  });
  REQUIRE(said);
  CHECK(said->reason == reason);
  CHECK_THAT(said->text, ContainsSubstring("array: ") && ContainsSubstring(text));
}

}  // namespace

TEST_CASE("parse_npy: type, shape and values", "[images]") {
  const auto array = images::parse_npy(npy_bytes("<u2", "(3, 1)", {1, 0, 2, 1, 0, 0}), "array");
  CHECK(array.type == "<u2");
  CHECK(array.shape == std::vector<Index>{3, 1});
  CHECK(array.values().size() == 6);
  CHECK(images::npy_labels(array, "array") == std::vector<Index>{1, 258, 0});
  CHECK(images::npy_labels(images::parse_npy(npy_bytes("|i1", "(2,)", {7, 127}), "array"),
                           "array") == std::vector<Index>{7, 127});
}

TEST_CASE("npy_images: grey, and colours as planes", "[images]") {
  const auto grey = images::npy_images(
      images::parse_npy(npy_bytes("|u1", "(1, 2, 2)", {1, 2, 3, 4}), "array"), "array");
  CHECK(grey.shape() == Shape{1, 1, 2, 2});
  CHECK(grey[3] == 4);
  const auto colour = images::npy_images(
      images::parse_npy(npy_bytes("|u1", "(1, 1, 2, 3)", {1, 2, 3, 4, 5, 6}), "array"), "array");
  CHECK(colour.shape() == Shape{1, 3, 1, 2});
  CHECK(std::ranges::equal(colour.span(), std::vector<int>{1, 4, 2, 5, 3, 6}));
  for (const char* const shape : {"(6,)", "(1, 2, 1, 3, 1)", "(3, 1, 1, 2)", "(2, 0, 3)"}) {
    const std::vector<std::uint8_t> values(shape == std::string{"(2, 0, 3)"} ? 0 : 6);
    CHECK(support::fails_with(Reason::wrong_content, [&] {
      images::npy_images(images::parse_npy(npy_bytes("|u1", shape, values), "array"), "array");
    }));
  }
}

TEST_CASE("parse_npy: what it refuses, it names", "[images]") {
  check_npy_refused(PlainBytes(20), Reason::foreign_file, "no array of NumPy");
  check_npy_refused(npy_bytes("<f4", "(1,)", {0, 0, 0, 0}), Reason::wrong_content, "type '<f4'");
  check_npy_refused(npy_bytes(">i2", "(1,)", {0, 0}), Reason::wrong_content, "type '>i2'");
  check_npy_refused(npy_bytes("<u3", "(1,)", {0, 0, 0}), Reason::wrong_content, "type '<u3'");
  check_npy_refused(npy_bytes("|u1", "(1,)", {0}, "True"), Reason::wrong_content, "Fortran");
  check_npy_refused(npy_bytes("|u1", "(2,)", {0}), Reason::damaged_file,
                    "1 byte of values, wanted 2");
  check_npy_refused(npy_bytes("|u1", "(-1,)", {0}), Reason::damaged_file, "no shape");
  check_npy_refused(npy_bytes("|u1", "(x,)", {0}), Reason::damaged_file, "no shape");
  check_npy_refused(npy_bytes("|u1", "(1", {0}), Reason::damaged_file, "no shape");
  check_npy_refused(npy_bytes("|u1", "(9000000000, 9000000000)", {0}), Reason::damaged_file,
                    "counted");
  check_npy_refused(npy_bytes("|u1", "(1, 2)", {0, 1}), Reason::wrong_content, "2 labels an image");
  check_npy_refused(npy_bytes("|i1", "(2,)", {0, 255}), Reason::wrong_content,
                    "label 1 is negative");
  check_npy_refused(npy_bytes("<u4", "(1,)", {0, 0, 1, 0}), Reason::wrong_content, "above 65535");
  const PlainBytes whole = npy_bytes("|u1", "(3,)", {1, 2, 3});
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK(support::complaint_of([&] {
      images::parse_npy({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)},
                        "array");
    }));
}

TEST_CASE("read_npz: the forms of MedMNIST and Keras", "[images]") {
  const support::TemporaryFolder folder;
  for (const bool deflate_them : {false, true}) {
    const auto file = folder.write("small.npz", support::zip_bytes(small_set(), deflate_them));
    const auto pair = images::read_npz(file);
    CHECK(pair.train.name == "small");
    CHECK(pair.train.labels == std::vector<Index>{0, 2});
    CHECK(pair.train.classes() == 5);
    CHECK(pair.test.labels == std::vector<Index>{4});
    CHECK(pair.test.image(0)[1] == 60);
  }
  Files keras = small_set();
  keras[0].first = "x_train.npy";
  keras[1].first = "y_train.npy";
  keras[3].first = "x_test.npy";
  keras[4].first = "y_test.npy";
  CHECK(images::read_npz(folder.write("k.npz", support::zip_bytes(keras, true))).test.size() == 1);
}

TEST_CASE("read_npz: what does not fit together is refused", "[images]") {
  const support::TemporaryFolder folder;
  const auto refuses = [&](const Files& files, const std::string& text) {
    const auto file = folder.write("x.npz", support::zip_bytes(files, true));
    const auto said = support::complaint_of([&] { images::read_npz(file); });
    REQUIRE(said);
    CHECK_THAT(said->text, ContainsSubstring("x.npz: ") && ContainsSubstring(text));
  };
  refuses({{"data.npy", npy_bytes("|u1", "(1,)", {0})}}, "has data.npy; wanted train_images");
  Files files = small_set();
  files.pop_back();
  refuses(files, "no 'test_labels.npy' in it");
  files = small_set();
  files[1].second = npy_bytes("|u1", "(3,)", {0, 1, 2});
  refuses(files, "2 images in train_images, 3 labels in train_labels");
  files = small_set();
  files[3].second = npy_bytes("|u1", "(1, 2, 1)", {1, 2});
  refuses(files, "images of (1, 2, 1), those for training are (1, 1, 2)");
  CHECK(support::fails_with(Reason::foreign_file,
                            [&] { images::read_npz(folder.write("y.npz", PlainBytes(100))); }));
}
