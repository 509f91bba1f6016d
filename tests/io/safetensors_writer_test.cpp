// SPDX-License-Identifier: MIT
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <splitvit/io/safetensors.hpp>

#include "support/catch.hpp"
#include "support/storage_error.hpp"
#include "support/temporary_folder.hpp"

using namespace splitvit;

TEST_CASE("write_safetensors: what is written is read again", "[io]") {
  const support::TemporaryFolder folder;
  const auto path = folder.path() / "w.safetensors";
  Tensor<float> a{{2, 3}};
  for (Index i = 0; i < 6; ++i) a[i] = 0.5f * static_cast<float>(i);
  const auto b = Tensor<double>::full({}, 0.1);
  const auto c = Tensor<std::int64_t>::full({2}, -3);
  const auto d = Tensor<std::uint8_t>::full({3}, 255);
  const Tensor<float> none{{0, 4}};
  io::write_safetensors(path,
                        {{"d", d}, {"a", a.view()}, {"b", b}, {"c \"quoted\"", c}, {"none", none}},
                        {{"format", "pt"}, {"line\n", "\xc3\xa4"}});
  const auto file = io::read_safetensors(path);
  CHECK(file.names() == std::vector<std::string>{"b", "c \"quoted\"", "a", "none", "d"});
  CHECK(file.metadata() == io::Metadata{{"format", "pt"}, {"line\n", "\xc3\xa4"}});
  CHECK(file.shape("a") == Shape{2, 3});
  CHECK(file.get<float>("a")[5] == 2.5f);
  CHECK(file.get<double>("b")[0] == 0.1);
  CHECK(file.get<std::int64_t>("c \"quoted\"")[1] == -3);
  CHECK(file.get<std::uint8_t>("d")[2] == 255);
  CHECK(file.shape("none") == Shape{0, 4});
}

TEST_CASE("format_safetensors: byte for byte", "[io]") {
  const auto w = Tensor<std::uint8_t>::full({2}, 7);
  const auto bytes = io::format_safetensors(std::vector<io::NamedTensor>{{"w", w}});
  const std::string header = R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}   )";
  REQUIRE(header.size() % 8 == 0);
  std::string wanted{static_cast<char>(header.size()), 0, 0, 0, 0, 0, 0, 0};
  wanted += header + "\x07\x07";
  CHECK(std::string{reinterpret_cast<const char*>(bytes.data()), bytes.size()} == wanted);
}

TEST_CASE("format_safetensors: order of the tensors does not matter", "[io]") {
  const auto a = Tensor<float>::full({2}, 1.0f);
  const auto b = Tensor<float>::full({3}, 2.0f);
  const auto c = Tensor<double>::full({1}, 3.0);
  CHECK(io::format_safetensors(std::vector<io::NamedTensor>{{"a", a}, {"b", b}, {"c", c}}) ==
        io::format_safetensors(std::vector<io::NamedTensor>{{"c", c}, {"b", b}, {"a", a}}));
  CHECK(io::format_safetensors({}).size() == 16);
}

TEST_CASE("write_safetensors: names must differ", "[io]") {
  const support::TemporaryFolder folder;
  const auto path = folder.path() / "w.safetensors";
  const Tensor<float> a{{1}};
  CHECK_THROWS_AS(io::write_safetensors(path, {{"a", a}, {"b", a}, {"a", a}}),
                  std::invalid_argument);
  CHECK_THROWS_AS(io::write_safetensors(path, {{"__metadata__", a}}), std::invalid_argument);
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("write_safetensors: a folder that is not there", "[io]") {
  const support::TemporaryFolder folder;
  CHECK(support::fails_with(Reason::cannot_write, [&] {
    io::write_safetensors(folder.path() / "none" / "w.safetensors", {});
  }));
}
