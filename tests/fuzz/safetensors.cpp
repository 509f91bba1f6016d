// SPDX-License-Identifier: MIT
// A safetensors file from a stranger: it is refused with a StorageError, or every tensor in it
// can be read and written again.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <splitvit/core/error.hpp>
#include <splitvit/io/safetensors.hpp>
#include <splitvit/nn/model_info.hpp>
#include <splitvit/nn/weights.hpp>

namespace {

using namespace splitvit;

using AnyTensor =
    std::variant<Tensor<float>, Tensor<double>, Tensor<std::int64_t>, Tensor<std::uint8_t>>;

AnyTensor read(const io::SafeTensors& file, const std::string& name) {
  switch (file.dtype(name)) {
    case Dtype::u8:
      return file.get<std::uint8_t>(name);
    case Dtype::i64:
      return file.get<std::int64_t>(name);
    case Dtype::f64:
      return file.get<double>(name);
    default:
      return file.get<float>(name);
  }
}

void check(bool fine) {
  if (!fine) std::abort();
}

/// As the weights of a model: names of other programs, sizes, and what the metadata say.
void read_as_vit(const io::SafeTensors& file) {
  const nn::VitWeights weights{file};
  for (const std::string& name : weights.names())
    check(weights.get<float>(name).shape() == weights.shape(name));
  const nn::VitConfig sizes = nn::sizes_of(weights);
  const auto info = nn::model_info(weights);
  if (info) check(info->sizes.dim == sizes.dim);
  nn::load_notes({.image = 32, .patch = 8}, weights);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto file = io::parse_safetensors(std::as_bytes(std::span{data, size}), "input");
    std::vector<AnyTensor> tensors;
    std::size_t bytes = 0;
    for (const std::string& name : file.names()) {
      tensors.push_back(read(file, name));
      check(std::visit([](const auto& t) { return t.shape(); }, tensors.back()) ==
            file.shape(name));
      bytes +=
          static_cast<std::size_t>(file.shape(name).elements() * io::facts(file.dtype(name)).bytes);
    }
    check(bytes <= size);
    std::vector<io::NamedTensor> named;
    for (std::size_t i = 0; i < tensors.size(); ++i)
      std::visit([&](const auto& t) { named.emplace_back(file.names()[i], t); }, tensors[i]);
    const auto again =
        io::parse_safetensors(io::format_safetensors(named, file.metadata()), "again");
    check(again.names().size() == file.names().size());
    check(again.metadata() == file.metadata());
    for (const std::string& name : file.names()) check(again.shape(name) == file.shape(name));
    read_as_vit(again);
  } catch (const StorageError&) {
    // what a bad file must give
  }
  return 0;
}
