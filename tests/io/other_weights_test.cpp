// SPDX-License-Identifier: MIT
#include <span>
#include <string>
#include <string_view>

#include <splitvit/io/other_weights.hpp>
#include <splitvit/io/safetensors.hpp>

#include "support/catch.hpp"
#include "support/storage_error.hpp"

using namespace splitvit;
using namespace std::string_literals;

TEST_CASE("other_weights: formats that people have are named, with the way to safetensors",
          "[io]") {
  struct Case {
    std::string begin, wanted;
  };
  const Case one = GENERATE(values<Case>({
      {"PK\3\4\0\0\x08\x08\0\0archive/data.pkl"s, "a pickle of PyTorch"},
      {"\x80\2\x8a\nl\xfc\x9c\x46\xf9 j\xa8P"s, "torch.load"},
      {"\x80\4\x95\x10\0\0\0\0\0\0\0"s, "a pickle of PyTorch"},
      {"PK\3\4\x14\0\0\0\x08\0embedding.npy"s, "a NumPy archive"},
      {"\x89HDF\r\n\x1a\n"s, "an HDF5 file"},
      {"GGUF\3\0\0\0\0\0\0\0"s, "a GGUF file"},
      {"version https://git-lfs.github.com/spec/v1\n"s, "git lfs pull"},
      {"{\"metadata\": {}, \"weight_map\": {}}"s, "a list of files"},
  }));
  const auto bytes = std::as_bytes(std::span{one.begin});
  CHECK_THAT(std::string{io::other_weights(bytes)}, ContainsSubstring(one.wanted));
  const auto said = support::complaint_of([&] { io::parse_safetensors(bytes, "weights.bin"); });
  REQUIRE(said);
  CHECK(said->reason == Reason::foreign_file);
  CHECK_THAT(said->text, ContainsSubstring("weights.bin: "));
  CHECK_THAT(said->text, ContainsSubstring(one.wanted));
}

TEST_CASE("other_weights: other files are not named", "[io]") {
  for (const std::string& text : {""s, "{}"s, "\x80"s, "\x80\x90 "s, "P"s, "<html>"s})
    CHECK(io::other_weights(std::as_bytes(std::span{text})).empty());
}

TEST_CASE("other_weights: a header whose length begins as a pickle does is one of safetensors",
          "[io]") {
  std::string file = "\x80\2\0\0\0\0\0\0{}"s;
  file.append(0x280 - 2, ' ');
  CHECK(io::parse_safetensors(std::as_bytes(std::span{file}), "file").names().empty());
}
