// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/io/safetensors_reader.hpp>  // SafeTensors, read_safetensors
#include <splitvit/io/safetensors_writer.hpp>  // NamedTensor, write_safetensors

// Named tensors in files that other tools read and write too:
//
//   const io::SafeTensors file = io::read_safetensors("weights.safetensors");
//   const Tensor<float> bias = file.get<float>("head.bias");
//   io::write_safetensors("copy.safetensors", {{"head.bias", bias}}, {{"format", "pt"}});
