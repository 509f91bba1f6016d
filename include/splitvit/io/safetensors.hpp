// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // adjacent_find, find, sort, stable_sort
#include <filesystem>  // path
#include <functional>  // identity, less
#include <map>         // map
#include <memory>      // shared_ptr
#include <variant>     // variant, visit

#include <splitvit/core/bytes.hpp>  // ByteReader, ByteWriter
#include <splitvit/core/dtype.hpp>  // Dtype, dtype_of, HasDtype
#include <splitvit/core/error.hpp>  // ArgumentError, joined, Reason, ShapeError, StorageError, TextParts
#include <splitvit/core/file.hpp>         // read_file
#include <splitvit/core/shape.hpp>        // Index, Shape
#include <splitvit/core/utf8.hpp>         // json_quoted
#include <splitvit/io/file.hpp>           // write_file_atomically
#include <splitvit/io/json.hpp>           // parse_json, Json
#include <splitvit/io/other_weights.hpp>  // other_weights
#include <splitvit/kernel/float16.hpp>    // BrainFloat, HalfFloat
#include <splitvit/tensor/tensor.hpp>     // Tensor, TensorView

// Named tensors in files that other tools read and write too:
//
//   const io::SafeTensors file = io::read_safetensors("weights.safetensors");
//   const Tensor<float> bias = file.get<float>("head.bias");
//   io::write_safetensors("copy.safetensors", {{"head.bias", bias}}, {{"format", "pt"}});
//
// A file, with all numbers little-endian:
//
//   8 bytes   length of the header
//   header    JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...,
//             "__metadata__": {"key": "text", ...}}, may end in spaces
//   data      the tensors one after another; offsets count from here

namespace splitvit::inline SPLITVIT_BUILD::io {

/// A kind of numbers that is read and written.
struct DtypeFacts {
  Dtype dtype;
  std::string_view name;  ///< as files spell it
  Index bytes;            ///< of one element
};

inline constexpr std::array<DtypeFacts, 6> dtypes = {{{Dtype::u8, "U8", 1},
                                                      {Dtype::i64, "I64", 8},
                                                      {Dtype::f16, "F16", 2},
                                                      {Dtype::bf16, "BF16", 2},
                                                      {Dtype::f32, "F32", 4},
                                                      {Dtype::f64, "F64", 8}}};

/// Other kinds, with the bytes of an element: their tensors may stand in a file, but are not read.
inline constexpr std::array<std::pair<std::string_view, Index>, 9> unread_dtypes = {{{"BOOL", 1},
                                                                                     {"I8", 1},
                                                                                     {"F8_E4M3", 1},
                                                                                     {"F8_E5M2", 1},
                                                                                     {"I16", 2},
                                                                                     {"U16", 2},
                                                                                     {"I32", 4},
                                                                                     {"U32", 4},
                                                                                     {"U64", 8}}};

/// `dtype` must be in the table.
constexpr const DtypeFacts& facts(Dtype dtype) {
  return *std::ranges::find(dtypes, dtype, &DtypeFacts::dtype);
}

/// Texts that go with the tensors, sorted by key.
using Metadata = std::map<std::string, std::string, std::less<>>;

/// The longest header that is read or written, in bytes.
inline constexpr std::uint64_t safetensors_header_limit = 100'000'000;

/// The content of a safetensors file. Copies share the bytes.
class SafeTensors {
 public:
  const std::vector<std::string>& names() const { return names_; }  ///< in the order of their data
  bool contains(std::string_view name) const { return entries_.find(name) != entries_.end(); }
  const Shape& shape(std::string_view name) const { return entry(name).shape; }
  /// Errors  StorageError (wrong_content) for a kind that is not read.
  Dtype dtype(std::string_view name) const {
    if (const auto dtype = entry(name).dtype) return *dtype;
    refuse(name, "another kind");
  }
  std::string_view kind(std::string_view name) const { return entry(name).kind; }  ///< its dtype
  std::span<const std::byte> bytes(std::string_view name) const {  ///< as they lie in the file
    return std::span{*bytes_}.subspan(entry(name).begin, entry(name).end - entry(name).begin);
  }
  const Metadata& metadata() const { return metadata_; }
  const std::string& source() const { return source_; }  ///< for messages: the file's path

  /// A tensor's numbers. T is float or double for F64, F32, F16 and BF16 (F64 to float rounds,
  /// the rest is exact), std::int64_t for I64, std::uint8_t for U8.
  /// Errors  StorageError (wrong_content) if there is no such tensor, or it is of another kind.
  template <class T>
  Tensor<T> get(std::string_view name) const {
    static_assert(HasDtype<T> && !std::same_as<T, std::int32_t>,
                  "a tensor is read as float, double, std::int64_t or std::uint8_t");
    const Entry& found = entry(name);
    ByteReader reader{bytes(name), source_};
    auto out = Tensor<T>::uninitialised(found.shape);
    if (found.dtype == dtype_of<T>) {
      reader.get_array(out.span());
      return out;
    }
    std::string_view wanted = facts(dtype_of<T>).name;
    if constexpr (std::floating_point<T>) {
      const auto convert = [&]<class Stored>(Stored, const auto& to_number) {
        for (T& value : out.span()) value = static_cast<T>(to_number(reader.get<Stored>()));
        return std::move(out);
      };
      if (found.dtype == Dtype::f32) return convert(float{}, std::identity{});
      if (found.dtype == Dtype::f64) return convert(double{}, std::identity{});
      if (found.dtype == Dtype::f16) return convert(std::uint16_t{}, kernel::HalfFloat::value<T>);
      if (found.dtype == Dtype::bf16) return convert(std::uint16_t{}, kernel::BrainFloat::value<T>);
      wanted = "floating-point numbers";
    }
    refuse(name, wanted);
  }

 private:
  class Parser;
  friend SafeTensors parse_safetensors(std::vector<std::byte> bytes, const std::string& source);

  struct Entry {
    std::string_view kind;  // as the file spells it
    std::optional<Dtype> dtype;
    Shape shape;
    std::size_t begin = 0, end = 0;  // in bytes_
  };

  [[noreturn]] void refuse(std::string_view name, std::string_view wanted) const {
    throw StorageError(Reason::wrong_content, {source_, ": tensor ", json_quoted(name), " is ",
                                               entry(name).kind, ", wanted ", wanted});
  }

  const Entry& entry(std::string_view name) const {
    const auto found = entries_.find(name);
    if (found == entries_.end())
      throw StorageError(Reason::wrong_content,
                         {source_, ": no tensor ", json_quoted(name), " among ", names_.size()});
    return found->second;
  }

  std::string source_;
  std::shared_ptr<const std::vector<std::byte>> bytes_;
  std::vector<std::string> names_;
  std::map<std::string, Entry, std::less<>> entries_;
  Metadata metadata_;
};

/// Checks a file from front to back, then hands out what it found.
class SafeTensors::Parser {
 public:
  Parser(std::vector<std::byte> bytes, const std::string& source) {
    out_.source_ = source;
    out_.bytes_ = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  }

  SafeTensors whole_file() {
    const std::vector<std::byte>& bytes = *out_.bytes_;
    if (bytes.size() < 8)
      fail(Reason::foreign_file, {"only ", bytes.size(), " bytes: not a safetensors file"});
    const auto length = ByteReader{bytes, out_.source_}.get<std::uint64_t>();
    const std::string header_size = joined({"header of ", length, " bytes"});
    // Text and archives read as a length are enormous: most likely another format.
    if (const std::string_view other = other_weights(bytes);
        !other.empty() && length > safetensors_header_limit)
      fail(Reason::foreign_file, {other});
    if (length > (std::uint64_t{1} << 48) || length < 2)
      fail(Reason::foreign_file, {header_size, ": not a safetensors file"});
    if (length > safetensors_header_limit)
      fail(Reason::too_long, {header_size, ", at most ", safetensors_header_limit, " are allowed"});
    if (length > bytes.size() - 8)
      fail(Reason::damaged_file, {header_size, ", only ", bytes.size() - 8, " are left"});
    const std::string_view text{reinterpret_cast<const char*>(bytes.data()) + 8,
                                static_cast<std::size_t>(length)};
    if (text.front() != '{') fail(Reason::foreign_file, {"header does not begin with {"});
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
  [[noreturn]] void fail(Reason reason, TextParts why) const {
    throw StorageError(reason, {out_.source_, ": ", joined(why)});
  }

  [[noreturn]] void fail_at(std::string_view name, TextParts why) const {
    fail(Reason::damaged_file, {"tensor ", json_quoted(name), ": ", joined(why)});
  }

  void read_metadata(const Json& value) {
    if (value.object() == nullptr) fail(Reason::damaged_file, {"__metadata__ is no object"});
    for (const auto& [key, text] : *value.object()) {
      if (text.text() == nullptr)
        fail(Reason::damaged_file, {"__metadata__ ", json_quoted(key), " is no text"});
      out_.metadata_.emplace(key, *text.text());
    }
  }

  /// Sets kind and dtype; returns the bytes of an element.
  Index read_dtype(const std::string& name, const Json* value, SafeTensors::Entry& entry) const {
    if (value == nullptr || value->text() == nullptr) fail_at(name, {"dtype is missing"});
    for (const DtypeFacts& known : dtypes) {
      if (known.name != *value->text()) continue;
      entry.kind = known.name;
      entry.dtype = known.dtype;
      return known.bytes;
    }
    for (const auto& [kind, bytes] : unread_dtypes) {
      if (kind != *value->text()) continue;
      entry.kind = kind;
      return bytes;
    }
    fail(Reason::wrong_content, {"tensor ", json_quoted(name), ": dtype ",
                                 json_quoted(*value->text()), " is not supported"});
  }

  /// Whole numbers from 0 on.
  std::vector<Index> read_numbers(const std::string& name, const char* key,
                                  const Json* value) const {
    if (value == nullptr || value->array() == nullptr) fail_at(name, {key, " is missing"});
    std::vector<Index> out;
    for (const Json& number : *value->array()) {
      if (number.whole() == nullptr || *number.whole() < 0)
        fail_at(name, {key, " has an entry that is no whole number from 0 on"});
      out.push_back(static_cast<Index>(*number.whole()));
    }
    return out;
  }

  void read_entry(const std::string& name, const Json& value) {
    if (value.object() == nullptr) fail_at(name, {"is no object"});
    for (const auto& member : *value.object())
      if (member.first != "dtype" && member.first != "shape" && member.first != "data_offsets")
        fail_at(name, {"unknown key ", json_quoted(member.first)});
    SafeTensors::Entry entry;
    const Index each = read_dtype(name, value.find("dtype"), entry);
    const auto extents = read_numbers(name, "shape", value.find("shape"));
    const auto range = read_numbers(name, "data_offsets", value.find("data_offsets"));
    if (extents.size() > Shape::max_rank)
      fail(Reason::wrong_content, {"tensor ", json_quoted(name), ": ", extents.size(),
                                   " extents, at most ", Shape::max_rank, " are supported"});
    if (range.size() != 2) fail_at(name, {"data_offsets are not two numbers"});
    const std::string offsets = joined({"data_offsets [", range[0], ", ", range[1], "]"});
    if (range[0] > range[1] || static_cast<std::size_t>(range[1]) > data_size_)
      fail_at(name, {offsets, " do not lie in ", data_size_, " bytes of data"});
    try {
      entry.shape = Shape{std::span{extents}};
    } catch (const ShapeError& error) {
      fail_at(name, {error.what()});
    }
    const Index bytes = range[1] - range[0];
    if (bytes % each != 0 || bytes / each != entry.shape.elements())
      fail_at(name, {"shape ", entry.shape, " of ", entry.kind, " does not fit ", offsets});
    entry.begin = data_begin_ + static_cast<std::size_t>(range[0]);
    entry.end = data_begin_ + static_cast<std::size_t>(range[1]);
    out_.names_.push_back(name);
    out_.entries_.emplace(name, entry);
  }

  /// The tensors must fill the data: no gap, no overlap, nothing behind them.
  void check_ranges() {
    std::ranges::stable_sort(out_.names_, {}, [this](const std::string& name) {
      return std::pair{out_.entry(name).begin, out_.entry(name).end};
    });
    std::size_t at = data_begin_;
    for (const std::string& name : out_.names_) {
      const auto& entry = out_.entry(name);
      if (entry.begin != at)
        fail_at(name, {"begins at byte ", entry.begin, ", wanted ", at,
                       ": tensors overlap or leave a gap"});
      at = entry.end;
    }
    if (at != out_.bytes_->size())
      fail(Reason::damaged_file,
           {out_.bytes_->size() - at, " bytes behind the last tensor, from byte ", at});
  }

  SafeTensors out_;
  std::size_t data_begin_ = 0, data_size_ = 0;
};

/// Takes apart the bytes of a safetensors file; `source` names them in messages.
/// Errors  StorageError: foreign_file for another format, too_long if its header is above the
/// limit,
///         wrong_content for a kind of tensor that is not supported, damaged_file for anything
///         else: cut off, trailing bytes, ranges that overlap, leave gaps or do not fit the shape.
inline SafeTensors parse_safetensors(std::vector<std::byte> bytes, const std::string& source) {
  return SafeTensors::Parser{std::move(bytes), source}.whole_file();
}

inline SafeTensors parse_safetensors(std::span<const std::byte> bytes, const std::string& source) {
  return parse_safetensors(std::vector<std::byte>(bytes.begin(), bytes.end()), source);
}

/// Reads a safetensors file of at most `limit` bytes. Errors  as parse_safetensors and read_file.
inline SafeTensors read_safetensors(const std::filesystem::path& path,
                                    std::uintmax_t limit = std::uintmax_t{1} << 34) {
  return parse_safetensors(read_file(path, limit), path.string());
}

/// A tensor to be written, under a name. Borrows the numbers.
struct NamedTensor {
  using View = std::variant<TensorView<const float>, TensorView<const double>,
                            TensorView<const std::int64_t>, TensorView<const std::uint8_t>>;

  template <class T>
  NamedTensor(std::string name_, TensorView<T> values_)
      : name{std::move(name_)}, values{TensorView<const std::remove_const_t<T>>{values_}} {}
  template <class T>
  NamedTensor(std::string name_, const Tensor<T>& values_)
      : NamedTensor{std::move(name_), values_.view()} {}

  Dtype dtype() const {
    return std::visit([]<class T>(const TensorView<const T>&) { return dtype_of<T>; }, values);
  }
  const Shape& shape() const {
    return std::visit([](const auto& view) -> const Shape& { return view.shape(); }, values);
  }

  std::string name;
  View values;
};

/// A safetensors file as bytes. Wider numbers come first, then names in order, so that every
/// number is aligned and equal tensors give equal bytes, whatever their order here.
/// Errors  std::invalid_argument if a name comes twice or is "__metadata__", or if the header
///         would be longer than readers accept.
inline std::vector<std::byte> format_safetensors(std::span<const NamedTensor> tensors,
                                                 const Metadata& metadata = {}) {
  std::vector<const NamedTensor*> order;
  for (const NamedTensor& tensor : tensors) order.push_back(&tensor);
  std::ranges::sort(order, {}, [](const NamedTensor* tensor) {
    return std::pair{-facts(tensor->dtype()).bytes, std::string_view{tensor->name}};
  });

  std::vector<std::string_view> names{"__metadata__"};
  for (const NamedTensor& tensor : tensors) names.push_back(tensor.name);
  std::ranges::sort(names);
  if (const auto twice = std::ranges::adjacent_find(names); twice != names.end())
    throw ArgumentError({"format_safetensors: name ", json_quoted(*twice), " is taken already"});

  std::string header = "{";
  if (!metadata.empty()) {
    header += "\"__metadata__\":{";
    for (const auto& [key, text] : metadata) {
      if (header.back() != '{') header += ',';
      header += json_quoted(key) + ":" + json_quoted(text);
    }
    header += "}";
  }
  std::size_t at = 0;
  for (const NamedTensor* tensor : order) {
    if (header.size() > 1) header += ',';
    header += joined({json_quoted(tensor->name), ":{\"dtype\":\"", facts(tensor->dtype()).name,
                      "\",\"shape\":["});
    for (const Index extent : tensor->shape().extents()) {
      if (header.back() != '[') header += ',';
      header += std::to_string(extent);
    }
    const std::size_t begin = at;
    at += static_cast<std::size_t>(tensor->shape().elements() * facts(tensor->dtype()).bytes);
    header += joined({"],\"data_offsets\":[", begin, ",", at, "]}"});
  }
  header += "}";
  header.append((8 - header.size() % 8) % 8, ' ');
  if (header.size() > safetensors_header_limit)
    throw ArgumentError({"format_safetensors: header of ", header.size(), " bytes, at most ",
                         safetensors_header_limit, " are allowed"});

  std::vector<std::byte> out;
  out.reserve(8 + header.size() + at);
  ByteWriter writer{out};
  writer.put(std::uint64_t{header.size()});
  writer.put_bytes(std::as_bytes(std::span{header}));
  for (const NamedTensor* tensor : order)
    std::visit([&](const auto& view) { writer.put_array(view.span()); }, tensor->values);
  return out;
}

/// Writes or replaces a safetensors file; a crash leaves the old one or the new one.
/// Errors  as format_safetensors; StorageError (cannot_write) with path and reason.
inline void write_safetensors(const std::filesystem::path& path,
                              const std::vector<NamedTensor>& tensors,
                              const Metadata& metadata = {}) {
  write_file_atomically(path, format_safetensors(tensors, metadata));
}

}  // namespace splitvit::inline SPLITVIT_BUILD::io
