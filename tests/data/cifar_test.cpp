// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <splitvit/data/cifar.hpp>

#include "support/catch.hpp"
#include "support/real_data.hpp"
#include "support/storage_error.hpp"
#include "support/temporary_folder.hpp"

using namespace splitvit;
using support::complaint_of;
using support::fails_with;

namespace {

using Bytes = std::vector<std::byte>;

/// Records with these labels; coarse labels are 99, pixels count up from the label.
Bytes records(const std::vector<int>& labels, Index image = 32, bool coarse = false) {
  Bytes out;
  for (const int label : labels) {
    if (coarse) out.push_back(std::byte{99});
    out.push_back(static_cast<std::byte>(label));
    for (Index i = 0; i < 3 * image * image; ++i)
      out.push_back(static_cast<std::byte>((label + i) & 255));
  }
  return out;
}

}  // namespace

TEST_CASE("cifar: records with one label", "[data]") {
  const auto set = data::parse_cifar(records({3, 9, 0}), data::cifar10_layout, "file");
  CHECK(set.labels == std::vector<Index>{3, 9, 0});
  CHECK(set.classes() == 10);
  CHECK(set.images.shape() == Shape{3, 3, 32, 32});
  CHECK(set.images[0] == 3);
  CHECK(set.images[3072] == 9);
  CHECK(set.images[3073] == 10);
}

TEST_CASE("cifar: of two labels the fine one counts", "[data]") {
  const auto set = data::parse_cifar(records({42, 99}, 32, true), data::cifar100_layout, "file");
  CHECK(set.labels == std::vector<Index>{42, 99});
  CHECK(set.classes() == 100);
  CHECK(set.images[0] == 42);
}

TEST_CASE("cifar: other sizes, and classes as they come", "[data]") {
  const auto set = data::parse_cifar(records({0, 4}, 2), {.image = 2}, "file");
  CHECK(set.classes() == 5);
  CHECK(set.image_shape() == Shape{3, 2, 2});
}

TEST_CASE("cifar: cut anywhere but between records, a file is refused", "[data]") {
  const Bytes bytes = records({1, 2}, 2);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto said = complaint_of(
        [&] { data::parse_cifar(std::span{bytes}.first(size), {.image = 2}, "file"); });
    if (size == 13) {
      CHECK_FALSE(said);
    } else {
      REQUIRE(said);
      CHECK(said->reason == (size == 0 ? Reason::wrong_content : Reason::damaged_file));
      CHECK_THAT(said->text, ContainsSubstring(size < 13 ? "file: byte 0" : "file: byte 13"));
    }
  }
}

TEST_CASE("cifar: a label out of range is named", "[data]") {
  const auto said =
      complaint_of([] { data::parse_cifar(records({1, 10}), data::cifar10_layout, "file"); });
  REQUIRE(said);
  CHECK(said->reason == Reason::wrong_content);
  CHECK(said->text == "file: byte 3073: label 10, there are 10 classes");
}

TEST_CASE("cifar: layouts that cannot be", "[data]") {
  CHECK_THROWS_AS(data::parse_cifar({}, {.label_bytes = 0}, "x"), std::invalid_argument);
  CHECK_THROWS_AS(data::parse_cifar({}, {.label_bytes = 3}, "x"), std::invalid_argument);
  CHECK_THROWS_AS(data::parse_cifar({}, {.image = 0}, "x"), std::invalid_argument);
  CHECK_THROWS_AS(data::parse_cifar({}, {.classes = -1}, "x"), std::invalid_argument);
  CHECK_THROWS_AS(data::read_cifar({}), std::invalid_argument);
}

TEST_CASE("cifar: the folders of both sets", "[data]") {
  const support::TemporaryFolder folder;
  for (int i = 1; i <= 5; ++i)
    folder.write("data_batch_" + std::to_string(i) + ".bin", records({i, i + 1}));
  CHECK(fails_with(Reason::cannot_open, [&] { data::read_cifar10(folder.path()); }));
  folder.write("test_batch.bin", records({7}));
  const auto ten = data::read_cifar10(folder.path());
  CHECK(ten.train.labels == std::vector<Index>{1, 2, 2, 3, 3, 4, 4, 5, 5, 6});
  CHECK(ten.train.images[9 * 3072] == 6);
  CHECK(ten.test.labels == std::vector<Index>{7});

  folder.write("train.bin", records({55, 3}, 32, true));
  folder.write("test.bin", records({98}, 32, true));
  const auto hundred = data::read_cifar100(folder.path());
  CHECK(hundred.train.labels == std::vector<Index>{55, 3});
  CHECK(hundred.test.classes() == 100);
}

TEST_CASE("cifar: the wrappings that people have", "[data]") {
  const support::TemporaryFolder folder;
  const auto put = [&](const std::string& name, const std::vector<std::byte>& bytes) {
    std::filesystem::create_directories((folder.path() / name).parent_path());
    return folder.write(name, bytes);
  };
  const auto refuses = [](const auto& read, const std::filesystem::path& given,
                          const std::string& text) {
    const auto said = support::complaint_of([&] { read(given); });
    REQUIRE(said);
    CHECK_THAT(said->text, ContainsSubstring(text));
  };
  const auto ten = [](const auto& given) { data::read_cifar10(given); };
  const auto hundred = [](const auto& given) { data::read_cifar100(given); };

  // The folder that the archive was unpacked in.
  put("parent/cifar-100-binary/train.bin", records({55, 3}, 32, true));
  put("parent/cifar-100-binary/test.bin", records({98}, 32, true));
  CHECK(data::read_cifar100(folder.path() / "parent").train.size() == 2);

  const std::vector<std::byte> gzip{std::byte{0x1F}, std::byte{0x8B}, std::byte{8}};
  const auto archive = put("packed/cifar-10-binary.tar.gz", gzip);
  refuses(ten, archive, "is a file; wanted the folder cifar-10-batches-bin");
  refuses(ten, folder.path() / "packed", "unpack cifar-10-binary.tar.gz there first");
  put("python/cifar-10-batches-py/data_batch_1", gzip);
  refuses(ten, folder.path() / "python", "the Python version of CIFAR-10; wanted the binary");
  refuses(ten, folder.path() / "python/cifar-10-batches-py", "the Python version of CIFAR-10");
  put("python/cifar-100-python/train", gzip);
  refuses(hundred, folder.path() / "python", "the Python version of CIFAR-100");
  refuses(ten, folder.path() / "parent/cifar-100-binary", "is CIFAR-100, wanted CIFAR-10");
  refuses(ten, folder.path(), "has no data_batch_1.bin; wanted the folder cifar-10-batches-bin");
  refuses(ten, folder.path() / "none", "No such file");

  const std::vector<std::byte> pickle{std::byte{0x80}, std::byte{2}, std::byte{'}'}};
  const auto file = [](const auto& given) { data::read_cifar_files(given, given); };
  refuses(file, archive, "compressed with gzip");
  refuses(file, put("pickle", pickle), "a pickle of Python");
}

TEST_CASE("cifar: single files agree on the number of classes", "[data]") {
  const support::TemporaryFolder folder;
  const auto train = folder.write("train", records({0, 1, 4}, 2));
  const auto test = folder.write("test", records({2}, 2));
  const auto pair = data::read_cifar_files(train, test, {.image = 2});
  CHECK(pair.train.classes() == 5);
  CHECK(pair.test.classes() == 5);
}

TEST_CASE("cifar: real images", "[data]") {
  const auto train = support::real_data("cifar10-jpeg/small_train.bin");
  const auto test = support::real_data("cifar10-jpeg/small_test.bin");
  if (!train || !test) return;
  const auto pair = data::read_cifar_files(*train, *test, data::cifar10_layout);
  CHECK(pair.train.size() == 2000);
  CHECK(pair.test.size() == 1000);
  for (Index label = 0; label < 10; ++label) {
    CHECK(std::ranges::count(pair.train.labels, label) == 200);
    CHECK(std::ranges::count(pair.test.labels, label) == 100);
  }
}
