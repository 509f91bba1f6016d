// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>    // sort
#include <concepts>     // same_as
#include <cstddef>      // byte, size_t
#include <cstdint>      // int64_t, uint8_t, uint16_t, uint64_t, uintmax_t
#include <filesystem>   // path
#include <functional>   // less
#include <map>          // map
#include <memory>       // shared_ptr
#include <span>         // span
#include <stdexcept>    // invalid_argument
#include <string>       // string, to_string
#include <string_view>  // string_view
#include <utility>      // move
#include <vector>       // vector

#include <splitvit/core/bytes.hpp>     // ByteReader
#include <splitvit/core/error.hpp>     // StorageError
#include <splitvit/core/file.hpp>      // read_file
#include <splitvit/core/shape.hpp>     // Index, Shape
#include <splitvit/io/dtype.hpp>       // Dtype, facts, from_bfloat16, from_float16
#include <splitvit/io/json.hpp>        // parse_json, Json
#include <splitvit/tensor/tensor.hpp>  // Tensor

// Reads safetensors files: named tensors, as weights are exchanged with other tools. Trusts no
// byte of them.
//
//   8 bytes   length of the header, little-endian
//   header    JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...,
//             "__metadata__": {"key": "text", ...}}, may end in spaces
//   data      the tensors one after another, little-endian; offsets count from here

namespace splitvit::io {

namespace detail {
class SafeTensorsParser;
}

/// Texts that go with the tensors, sorted by key.
using Metadata = std::map<std::string, std::string, std::less<>>;

/// The longest header that is read or written, as in other implementations.
inline constexpr std::uint64_t safetensors_header_limit = 100'000'000;

/// The content of a safetensors file. Copies share the bytes.
class SafeTensors {
 public:
  /// In the order of their data.
  const std::vector<std::string>& names() const { return names_; }
  bool contains(std::string_view name) const { return entries_.find(name) != entries_.end(); }
  const Shape& shape(std::string_view name) const { return entry(name).shape; }
  Dtype dtype(std::string_view name) const { return entry(name).dtype; }
  const Metadata& metadata() const { return metadata_; }
  /// For messages: the file's path.
  const std::string& source() const { return source_; }

  /// A tensor's numbers. T is float or double for F64, F32, F16 and BF16 (F64 to float rounds,
  /// the rest is exact), std::int64_t for I64, std::uint8_t for U8.
  ///
  /// Errors  StorageError (wrong_content) if there is no such tensor, or it is of another kind;
  ///         so do shape and dtype if there is no such tensor.
  template <class T>
  Tensor<T> get(std::string_view name) const;

 private:
  friend class detail::SafeTensorsParser;

  struct Entry {
    Dtype dtype;
    Shape shape;
    std::size_t begin, end;  // in bytes_
  };

  const Entry& entry(std::string_view name) const {
    const auto found = entries_.find(name);
    if (found == entries_.end())
      throw StorageError(Reason::wrong_content, source_ + ": no tensor " + json_quoted(name) +
                                                    " among " + std::to_string(names_.size()));
    return found->second;
  }

  std::string source_;
  std::shared_ptr<const std::vector<std::byte>> bytes_;
  std::vector<std::string> names_;
  std::map<std::string, Entry, std::less<>> entries_;
  Metadata metadata_;
};

/// Takes apart the bytes of a safetensors file; `source` names them in messages.
///
/// Errors  StorageError naming the source, the key or byte and the reason: foreign_file if it is
///         none, too_long if its header is above the limit, wrong_content for a kind of tensor
///         that is not supported, damaged_file for anything else: truncated, trailing bytes,
///         ranges that overlap, leave gaps or do not fit the shape.
SafeTensors parse_safetensors(std::vector<std::byte> bytes, const std::string& source);

inline SafeTensors parse_safetensors(std::span<const std::byte> bytes, const std::string& source) {
  return parse_safetensors(std::vector<std::byte>(bytes.begin(), bytes.end()), source);
}

/// Reads a safetensors file of at most `limit` bytes. Errors  as parse_safetensors and read_file.
inline SafeTensors read_safetensors(const std::filesystem::path& path,
                                    std::uintmax_t limit = std::uintmax_t{1} << 34) {
  return parse_safetensors(read_file(path, limit), path.string());
}

namespace detail {

/// Checks a file from front to back, then hands out what it found.
class SafeTensorsParser {
 public:
  SafeTensorsParser(std::vector<std::byte> bytes, const std::string& source) {
    out_.source_ = source;
    out_.bytes_ = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  }

  SafeTensors whole_file() {
    const std::vector<std::byte>& bytes = *out_.bytes_;
    if (bytes.size() < 8)
      fail(Reason::foreign_file,
           "only " + std::to_string(bytes.size()) + " bytes: not a safetensors file");
    const auto length = ByteReader{bytes, out_.source_}.get<std::uint64_t>();
    // Text and archives read as a length are enormous: most likely another format.
    if (length > (std::uint64_t{1} << 48) || length < 2)
      fail(Reason::foreign_file,
           "header of " + std::to_string(length) + " bytes: not a safetensors file");
    if (length > safetensors_header_limit)
      fail(Reason::too_long, "header of " + std::to_string(length) + " bytes, at most " +
                                 std::to_string(safetensors_header_limit) + " are allowed");
    if (length > bytes.size() - 8)
      fail(Reason::damaged_file, "header of " + std::to_string(length) + " bytes, only " +
                                     std::to_string(bytes.size() - 8) + " are left");
    const std::string_view text{reinterpret_cast<const char*>(bytes.data()) + 8,
                                static_cast<std::size_t>(length)};
    if (text.front() != '{') fail(Reason::foreign_file, "header does not begin with {");
    data_begin_ = 8 + text.size();
    data_size_ = bytes.size() - data_begin_;

    const Json header =
        parse_json(text, out_.source_ + ": header", {.bytes = text.size(), .depth = 4});
    for (const auto& [name, value] : *header.object())
      if (name == "__metadata__")
        read_metadata(value);
      else
        read_entry(name, value);
    check_ranges();
    return std::move(out_);
  }

 private:
  [[noreturn]] void fail(Reason reason, const std::string& why) const {
    throw StorageError(reason, out_.source_ + ": " + why);
  }
  [[noreturn]] void fail_at(std::string_view name, const std::string& why,
                            Reason reason = Reason::damaged_file) const {
    fail(reason, "tensor " + json_quoted(name) + ": " + why);
  }

  void read_metadata(const Json& value) {
    if (value.object() == nullptr) fail(Reason::damaged_file, "__metadata__ is no object");
    for (const auto& [key, text] : *value.object()) {
      if (text.text() == nullptr)
        fail(Reason::damaged_file, "__metadata__ " + json_quoted(key) + " is no text");
      out_.metadata_.emplace(key, *text.text());
    }
  }

  Dtype read_dtype(const std::string& name, const Json* value) const {
    if (value == nullptr || value->text() == nullptr) fail_at(name, "dtype is missing");
    for (const DtypeFacts& known : dtypes)
      if (known.name == *value->text()) return known.dtype;
    fail_at(name, "dtype " + json_quoted(*value->text()) + " is not supported",
            Reason::wrong_content);
  }

  /// Whole numbers from 0 on.
  std::vector<Index> read_numbers(const std::string& name, const char* key,
                                  const Json* value) const {
    if (value == nullptr || value->array() == nullptr)
      fail_at(name, std::string(key) + " is missing");
    std::vector<Index> out;
    for (const Json& number : *value->array()) {
      if (number.whole() == nullptr || *number.whole() < 0)
        fail_at(name, std::string(key) + " has an entry that is no whole number from 0 on");
      out.push_back(static_cast<Index>(*number.whole()));
    }
    return out;
  }

  void read_entry(const std::string& name, const Json& value) {
    if (value.object() == nullptr) fail_at(name, "is no object");
    for (const auto& member : *value.object())
      if (member.first != "dtype" && member.first != "shape" && member.first != "data_offsets")
        fail_at(name, "unknown key " + json_quoted(member.first));
    const Dtype dtype = read_dtype(name, value.find("dtype"));
    const auto extents = read_numbers(name, "shape", value.find("shape"));
    const auto range = read_numbers(name, "data_offsets", value.find("data_offsets"));
    if (extents.size() > Shape::max_rank)
      fail_at(name,
              std::to_string(extents.size()) + " extents, at most " +
                  std::to_string(Shape::max_rank) + " are supported",
              Reason::wrong_content);
    if (range.size() != 2) fail_at(name, "data_offsets are not two numbers");
    if (range[0] > range[1] || static_cast<std::size_t>(range[1]) > data_size_)
      fail_at(name, "data_offsets " + range_text(range[0], range[1]) + " do not lie in " +
                        std::to_string(data_size_) + " bytes of data");
    Shape shape;
    try {
      shape = Shape{std::span{extents}};
    } catch (const ShapeError& error) {
      fail_at(name, error.what());
    }
    const Index bytes = range[1] - range[0];
    if (bytes % facts(dtype).bytes != 0 || bytes / facts(dtype).bytes != shape.elements())
      fail_at(name, "shape " + shape.text() + " of " + std::string(facts(dtype).name) +
                        " does not fit data_offsets " + range_text(range[0], range[1]));
    out_.names_.push_back(name);
    out_.entries_.emplace(
        name, SafeTensors::Entry{dtype, shape, data_begin_ + static_cast<std::size_t>(range[0]),
                                 data_begin_ + static_cast<std::size_t>(range[1])});
  }

  /// The tensors must fill the data: no gap, no overlap, nothing behind them.
  void check_ranges() {
    std::ranges::stable_sort(out_.names_, [this](const std::string& a, const std::string& b) {
      const auto& x = out_.entry(a);
      const auto& y = out_.entry(b);
      return x.begin != y.begin ? x.begin < y.begin : x.end < y.end;
    });
    std::size_t at = data_begin_;
    for (const std::string& name : out_.names_) {
      const auto& entry = out_.entry(name);
      if (entry.begin != at)
        fail_at(name, "begins at byte " + std::to_string(entry.begin) + ", wanted " +
                          std::to_string(at) + ": tensors overlap or leave a gap");
      at = entry.end;
    }
    if (at != out_.bytes_->size())
      fail(Reason::damaged_file, std::to_string(out_.bytes_->size() - at) +
                                     " bytes behind the last tensor, from byte " +
                                     std::to_string(at));
  }

  static std::string range_text(Index begin, Index end) {
    return "[" + std::to_string(begin) + ", " + std::to_string(end) + "]";
  }

  SafeTensors out_;
  std::size_t data_begin_ = 0;
  std::size_t data_size_ = 0;
};

}  // namespace detail

inline SafeTensors parse_safetensors(std::vector<std::byte> bytes, const std::string& source) {
  return detail::SafeTensorsParser{std::move(bytes), source}.whole_file();
}

template <class T>
Tensor<T> SafeTensors::get(std::string_view name) const {
  constexpr bool real = std::same_as<T, float> || std::same_as<T, double>;
  static_assert(real || std::same_as<T, std::int64_t> || std::same_as<T, std::uint8_t>,
                "a safetensors tensor is read as float, double, std::int64_t or std::uint8_t");
  const Entry& found = entry(name);
  ByteReader reader{std::span{*bytes_}.subspan(found.begin, found.end - found.begin), source_};
  auto out = Tensor<T>::uninitialised(found.shape);
  const auto fill = [&]<class Stored>(Stored, auto convert) {
    for (T& value : out.span()) value = convert(reader.get<Stored>());
  };
  const auto cast = [](auto value) { return static_cast<T>(value); };
  if constexpr (real) {
    switch (found.dtype) {
      case Dtype::f32:
        if constexpr (std::same_as<T, float>)
          reader.get_array(out.span());
        else
          fill(float{}, cast);
        return out;
      case Dtype::f64:
        if constexpr (std::same_as<T, double>)
          reader.get_array(out.span());
        else
          fill(double{}, cast);
        return out;
      case Dtype::f16:
        fill(std::uint16_t{},
             [](std::uint16_t bits) { return static_cast<T>(from_float16(bits)); });
        return out;
      case Dtype::bf16:
        fill(std::uint16_t{},
             [](std::uint16_t bits) { return static_cast<T>(from_bfloat16(bits)); });
        return out;
      default:
        break;
    }
  } else if (found.dtype == (sizeof(T) == 1 ? Dtype::u8 : Dtype::i64)) {
    reader.get_array(out.span());
    return out;
  }
  throw StorageError(Reason::wrong_content, source_ + ": tensor " + json_quoted(name) + " is " +
                                                std::string(facts(found.dtype).name) + ", wanted " +
                                                (real             ? "floating-point numbers"
                                                 : sizeof(T) == 1 ? "U8"
                                                                  : "I64"));
}

}  // namespace splitvit::io
