// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>    // adjacent_find, sort
#include <cstddef>      // byte, size_t
#include <cstdint>      // int64_t, uint8_t, uint64_t
#include <filesystem>   // path
#include <span>         // span
#include <stdexcept>    // invalid_argument
#include <string>       // string, to_string
#include <string_view>  // string_view
#include <type_traits>  // remove_const_t
#include <utility>      // move
#include <variant>      // variant, visit
#include <vector>       // vector

#include <splitvit/core/bytes.hpp>             // ByteWriter
#include <splitvit/core/shape.hpp>             // Index, Shape
#include <splitvit/io/dtype.hpp>               // Dtype, facts
#include <splitvit/io/file.hpp>                // write_file_atomically
#include <splitvit/io/json.hpp>                // json_quoted
#include <splitvit/io/safetensors_reader.hpp>  // Metadata, safetensors_header_limit
#include <splitvit/tensor/tensor.hpp>          // Tensor, TensorView

// Writes safetensors files; the layout is drawn in safetensors_reader.hpp.

namespace splitvit::io {

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
    constexpr Dtype of[] = {Dtype::f32, Dtype::f64, Dtype::i64, Dtype::u8};
    return of[values.index()];
  }
  const Shape& shape() const {
    return std::visit([](const auto& view) -> const Shape& { return view.shape(); }, values);
  }

  std::string name;
  View values;
};

/// A safetensors file as bytes. Wider numbers come first, then names in order, so that every
/// number is aligned and equal tensors give equal bytes, whatever their order here.
///
/// Errors  std::invalid_argument if a name comes twice or is "__metadata__", or if the header
///         would be longer than readers accept.
inline std::vector<std::byte> format_safetensors(std::span<const NamedTensor> tensors,
                                                 const Metadata& metadata = {}) {
  std::vector<const NamedTensor*> order;
  for (const NamedTensor& tensor : tensors) order.push_back(&tensor);
  std::ranges::sort(order, [](const NamedTensor* a, const NamedTensor* b) {
    const Index x = facts(a->dtype()).bytes;
    const Index y = facts(b->dtype()).bytes;
    return x != y ? x > y : a->name < b->name;
  });

  std::vector<std::string_view> names{"__metadata__"};
  for (const NamedTensor& tensor : tensors) names.push_back(tensor.name);
  std::ranges::sort(names);
  if (const auto twice = std::ranges::adjacent_find(names); twice != names.end())
    throw std::invalid_argument("format_safetensors: name " + json_quoted(*twice) +
                                " is taken already");

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
    header += json_quoted(tensor->name) + ":{\"dtype\":\"" +
              std::string(facts(tensor->dtype()).name) + "\",\"shape\":[";
    for (const Index extent : tensor->shape().extents()) {
      if (header.back() != '[') header += ',';
      header += std::to_string(extent);
    }
    header += "],\"data_offsets\":[" + std::to_string(at) + ",";
    at += static_cast<std::size_t>(tensor->shape().elements() * facts(tensor->dtype()).bytes);
    header += std::to_string(at) + "]}";
  }
  header += "}";
  header.append((8 - header.size() % 8) % 8, ' ');
  if (header.size() > safetensors_header_limit)
    throw std::invalid_argument("format_safetensors: header of " + std::to_string(header.size()) +
                                " bytes, at most " + std::to_string(safetensors_header_limit) +
                                " are allowed");

  std::vector<std::byte> out;
  out.reserve(8 + header.size() + at);
  ByteWriter writer{out};
  writer.put(static_cast<std::uint64_t>(header.size()));
  writer.put_bytes(std::as_bytes(std::span{header}));
  for (const NamedTensor* tensor : order)
    std::visit([&](const auto& view) { writer.put_array(view.span()); }, tensor->values);
  return out;
}

/// Writes or replaces a safetensors file; a crash leaves the old one or the new one.
///
/// Errors  as format_safetensors; StorageError (cannot_write) with path and reason.
inline void write_safetensors(const std::filesystem::path& path,
                              const std::vector<NamedTensor>& tensors,
                              const Metadata& metadata = {}) {
  write_file_atomically(path, format_safetensors(tensors, metadata));
}

}  // namespace splitvit::io
