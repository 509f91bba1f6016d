// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <splitvit/io/safetensors.hpp>

#include "support/catch.hpp"
#include "support/safetensors_bytes.hpp"
#include "support/storage_error.hpp"
#include "support/temporary_folder.hpp"

using namespace splitvit;
using support::safetensors_bytes;

namespace {

/// What is said about a file with this header and so many bytes of data.
std::optional<support::Complaint> complaint(const std::string& header, std::size_t data) {
  return support::complaint_of(
      [&] { io::parse_safetensors(safetensors_bytes(header, data), "file"); });
}

bool fails(Reason reason, const std::string& header, std::size_t data) {
  const auto said = complaint(header, data);
  return said && said->reason == reason && said->text.find("file: ") == 0;
}

/// One entry: the usual one, but for what is told.
std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"w":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}}";
}

const std::string two_tensors = R"({"__metadata__":{"format":"pt","by":"hand"},)"
                                R"("b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]},)"
                                R"("a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}    )";

}  // namespace

TEST_CASE("safetensors: names, shapes, kinds and metadata", "[io]") {
  const io::SafeTensors file = io::parse_safetensors(safetensors_bytes(two_tensors, 11), "file");
  CHECK(file.names() == std::vector<std::string>{"a", "b"});  // as they lie
  CHECK(file.contains("a"));
  CHECK_FALSE(file.contains("__metadata__"));
  CHECK(file.shape("a") == Shape{1, 2});
  CHECK(file.dtype("a") == Dtype::f32);
  CHECK(file.dtype("b") == Dtype::u8);
  CHECK(file.metadata().at("format") == "pt");
  CHECK(file.metadata().size() == 2);
  CHECK(file.source() == "file");
  const auto b = file.get<std::uint8_t>("b");
  CHECK(std::vector<int>(b.span().begin(), b.span().end()) == std::vector<int>{8, 9, 10});
}

TEST_CASE("safetensors: numbers of each kind", "[io]") {
  std::vector<std::byte> bytes =
      safetensors_bytes(R"({"d":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},)"
                        R"("i":{"dtype":"I64","shape":[],"data_offsets":[8,16]},)"
                        R"("f":{"dtype":"F32","shape":[1],"data_offsets":[16,20]},)"
                        R"("h":{"dtype":"F16","shape":[1],"data_offsets":[20,22]},)"
                        R"("b":{"dtype":"BF16","shape":[1],"data_offsets":[22,24]},)"
                        R"("none":{"dtype":"F32","shape":[2,0],"data_offsets":[24,24]}})",
                        0);
  ByteWriter writer{bytes};
  writer.put(0.1);
  writer.put(std::int64_t{-7});
  writer.put(2.5f);
  writer.put(std::uint16_t{0x3e00});
  writer.put(std::uint16_t{0xc040});
  const auto file = io::parse_safetensors(bytes, "file");
  CHECK(file.get<double>("d")[0] == 0.1);
  CHECK(file.get<float>("d")[0] == 0.1f);
  CHECK(file.get<std::int64_t>("i").shape() == Shape{});
  CHECK(file.get<std::int64_t>("i")[0] == -7);
  CHECK(file.get<float>("f")[0] == 2.5f);
  CHECK(file.get<double>("f")[0] == 2.5);
  CHECK(file.get<float>("h")[0] == 1.5f);
  CHECK(file.get<double>("b")[0] == -3.0);
  CHECK(file.get<float>("none").shape() == Shape{2, 0});
}

TEST_CASE("safetensors: asking for what is not there", "[io]") {
  const auto file = io::parse_safetensors(safetensors_bytes(two_tensors, 11), "file");
  const auto missing = support::complaint_of([&] { file.get<float>("c"); });
  REQUIRE(missing);
  CHECK(missing->reason == Reason::wrong_content);
  CHECK(missing->text == "file: no tensor \"c\" among 2");
  CHECK(support::fails_with(Reason::wrong_content, [&] { file.shape("c"); }));
  CHECK(support::fails_with(Reason::wrong_content, [&] { file.dtype("c"); }));
  CHECK(support::fails_with(Reason::wrong_content, [&] { file.get<std::uint8_t>("a"); }));
  CHECK(support::fails_with(Reason::wrong_content, [&] { file.get<std::int64_t>("a"); }));
  CHECK(support::fails_with(Reason::wrong_content, [&] { file.get<float>("b"); }));
}

TEST_CASE("safetensors: a copy outlives what it was made from", "[io]") {
  io::SafeTensors copy;
  {
    const auto file = io::parse_safetensors(safetensors_bytes(two_tensors, 11), "file");
    copy = file;
  }
  CHECK(copy.get<std::uint8_t>("b")[2] == 10);
}

TEST_CASE("safetensors: a file without tensors", "[io]") {
  const auto file = io::parse_safetensors(safetensors_bytes("{}", 0), "file");
  CHECK(file.names().empty());
  CHECK(fails(Reason::damaged_file, "{}", 1));
}

TEST_CASE("safetensors: cut anywhere, it is refused", "[io]") {
  const auto bytes = safetensors_bytes(two_tensors, 11);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto said =
        support::complaint_of([&] { io::parse_safetensors(std::span{bytes}.first(size), "file"); });
    REQUIRE(said);
    REQUIRE(said->reason == (size < 8 ? Reason::foreign_file : Reason::damaged_file));
  }
  auto longer = bytes;
  longer.push_back(std::byte{0});
  CHECK(support::fails_with(Reason::damaged_file, [&] { io::parse_safetensors(longer, "file"); }));
}

TEST_CASE("safetensors: any byte of the header changed gives a file or a StorageError", "[io]") {
  const auto bytes = safetensors_bytes(two_tensors, 11);
  for (std::size_t at = 0; at < bytes.size() - 11; ++at)
    for (int bit = 0; bit < 8; ++bit) {
      auto changed = bytes;
      changed[at] ^= static_cast<std::byte>(1 << bit);
      CHECK_NOTHROW(support::complaint_of([&] { io::parse_safetensors(changed, "file"); }));
    }
}

TEST_CASE("safetensors: other files are told apart", "[io]") {
  std::vector<std::byte> bytes = safetensors_bytes("{}", 0);
  const auto with_length = [&](std::uint64_t length) {
    std::vector<std::byte> head;
    ByteWriter{head}.put(length);
    std::copy(head.begin(), head.end(), bytes.begin());
    return support::complaint_of([&] { io::parse_safetensors(bytes, "file"); }).value().reason;
  };
  CHECK(with_length(0x6c6d783f3c) == Reason::too_long);
  CHECK(with_length(0x0a1a0a0d474e5089) == Reason::foreign_file);  // PNG
  CHECK(with_length(UINT64_MAX) == Reason::foreign_file);
  CHECK(with_length(0) == Reason::foreign_file);
  CHECK(with_length(1) == Reason::foreign_file);
  CHECK(with_length(3) == Reason::damaged_file);
  CHECK(with_length(io::safetensors_header_limit) == Reason::damaged_file);
  CHECK(with_length(io::safetensors_header_limit + 1) == Reason::too_long);
  CHECK(fails(Reason::foreign_file, " {}", 0));
  CHECK(fails(Reason::foreign_file, "[]", 0));
}

TEST_CASE("safetensors: each field of an entry is checked", "[io]") {
  REQUIRE_FALSE(complaint(entry("\"F32\"", "[2]", "[0,8]"), 8));
  // kind
  CHECK(fails(Reason::wrong_content, entry("\"F4\"", "[8]", "[0,8]"), 8));
  CHECK(fails(Reason::damaged_file, entry("32", "[2]", "[0,8]"), 8));
  // shape
  for (const char* shape : {"[3]", "[1]", "[]", "2", "[-2]", "[2.0]", "[\"2\"]", "null", "[2,0]",
                            "[9223372036854775807]", "[9223372036854775807,2]",
                            "[4294967296,4294967296]", "[18446744073709551618]"})
    CHECK(fails(Reason::damaged_file, entry("\"F32\"", shape, "[0,8]"), 8));
  CHECK(fails(Reason::damaged_file, entry("\"F64\"", "[2305843009213693953]", "[0,8]"), 8));
  CHECK(fails(Reason::wrong_content, entry("\"F32\"", "[2,1,1,1,1,1,1]", "[0,8]"), 8));
  // offsets
  for (const char* offsets : {"[0,7]", "[0,4]", "[8,0]", "[0,12]", "[-8,0]", "[0]", "[0,8,8]",
                              "[0,8.0]", "null", "{}", "[0,9223372036854775807]"})
    CHECK(fails(Reason::damaged_file, entry("\"F32\"", "[2]", offsets), 8));
  // the entry itself
  for (const char* header :
       {R"({"w":1})", R"({"w":{}})", R"({"w":{"dtype":"F32","shape":[2]}})",
        R"({"w":{"dtype":"F32","data_offsets":[0,8]}})",
        R"({"w":{"shape":[2],"data_offsets":[0,8]}})",
        R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1}})",
        R"({"w":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
        R"({"w":{"dtype":"F32","shape":[[2]],"data_offsets":[0,8]}})",
        R"({"__metadata__":1,"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
        R"({"__metadata__":{"a":1},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})"})
    CHECK(fails(Reason::damaged_file, header, 8));
}

TEST_CASE("safetensors: ranges neither overlap nor leave gaps", "[io]") {
  const auto two = [](const std::string& first, const std::string& second) {
    return R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + first +
           R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + second + "}}";
  };
  CHECK_FALSE(complaint(two("[0,4]", "[4,8]"), 8));
  CHECK_FALSE(complaint(two("[4,8]", "[0,4]"), 8));
  CHECK(fails(Reason::damaged_file, two("[0,4]", "[0,4]"), 4));
  CHECK(fails(Reason::damaged_file, two("[0,4]", "[3,7]"), 7));
  CHECK(fails(Reason::damaged_file, two("[0,4]", "[5,9]"), 9));
  CHECK(fails(Reason::damaged_file, two("[1,5]", "[5,9]"), 9));
  CHECK(fails(Reason::damaged_file, two("[0,4]", "[4,8]"), 9));
  const auto said = complaint(two("[0,4]", "[5,9]"), 9);
  CHECK_THAT(said->text, ContainsSubstring("tensor \"b\""));
}

TEST_CASE("read_safetensors: names the file", "[io]") {
  const support::TemporaryFolder folder;
  const auto path = folder.write("w.safetensors", safetensors_bytes(two_tensors, 10));
  const auto said = support::complaint_of([&] { io::read_safetensors(path); });
  REQUIRE(said);
  CHECK_THAT(said->text, ContainsSubstring(path.string()));
  CHECK(support::fails_with(Reason::cannot_open,
                            [&] { io::read_safetensors(folder.path() / "none"); }));
  CHECK(support::fails_with(Reason::too_long, [&] { io::read_safetensors(path, 20); }));
}

TEST_CASE("facts: names as files spell them, and sizes", "[io]") {
  CHECK(io::facts(Dtype::bf16).name == "BF16");
  CHECK(io::facts(Dtype::f64).bytes == 8);
}
