// SPDX-License-Identifier: MIT
#include <cstdint>
#include <string>
#include <vector>

#include <splitvit/io/weights_digest.hpp>
#include <splitvit/tensor/tensor.hpp>

#include "support/catch.hpp"

namespace io = splitvit::io;
using splitvit::Shape;
using splitvit::Tensor;

namespace {

splitvit::Digest digest_of_file(const std::vector<io::NamedTensor>& tensors,
                                const io::Metadata& metadata = {}) {
  return io::weights_digest(
      io::parse_safetensors(io::format_safetensors(tensors, metadata), "test"));
}

}  // namespace

TEST_CASE("weights_digest: names, kinds, shapes and numbers count", "[io][digest]") {
  const Tensor<float> a{Shape{2, 3}}, flat{Shape{6}}, b{Shape{2}};
  const auto known = digest_of_file({{"a", a}, {"b", b}});
  CHECK(known == digest_of_file({{"a", a}, {"b", b}}));

  CHECK_FALSE(known == digest_of_file({{"a", a}}));
  CHECK_FALSE(known == digest_of_file({{"a", a}, {"c", b}}));
  CHECK_FALSE(known == digest_of_file({{"a", flat}, {"b", b}}));
  // as many bytes, all zero, of another kind
  const Tensor<std::int64_t> whole{Shape{1}};
  const Tensor<double> wide{Shape{1}};
  CHECK_FALSE(digest_of_file({{"b", whole}}) == digest_of_file({{"b", wide}}));
  for (splitvit::Index i = 0; i < a.size(); ++i) {
    Tensor<float> other{Shape{2, 3}};
    other[i] = 1e-30f;
    CHECK_FALSE(known == digest_of_file({{"a", other}, {"b", b}}));
  }
}

TEST_CASE("weights_digest: metadata and the order in the file do not count", "[io][digest]") {
  const Tensor<float> a{Shape{2}}, b{Shape{2}};
  const auto known = digest_of_file({{"a", a}, {"b", b}});
  CHECK(known == digest_of_file({{"a", a}, {"b", b}}, {{"format", "pt"}, {"epoch", "3"}}));

  const std::string header = R"({"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                             R"("a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})";
  std::vector<std::byte> bytes(8 + header.size() + 16);
  bytes[0] = static_cast<std::byte>(header.size());
  for (std::size_t i = 0; i < header.size(); ++i) bytes[8 + i] = static_cast<std::byte>(header[i]);
  CHECK(known == io::weights_digest(io::parse_safetensors(std::move(bytes), "test")));
}

TEST_CASE("weights_digest: tensors of kinds that are not read count, too", "[io][digest]") {
  const auto digest_of_mask = [](char value) {
    const std::string header = R"({"mask":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})";
    std::vector<std::byte> bytes(8 + header.size() + 1);
    bytes[0] = static_cast<std::byte>(header.size());
    for (std::size_t i = 0; i < header.size(); ++i)
      bytes[8 + i] = static_cast<std::byte>(header[i]);
    bytes.back() = static_cast<std::byte>(value);
    return io::weights_digest(io::parse_safetensors(std::move(bytes), "test"));
  };
  CHECK(digest_of_mask(0) == digest_of_mask(0));
  CHECK_FALSE(digest_of_mask(0) == digest_of_mask(1));
}
