// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min

#include <splitvit/core/std.hpp>

namespace splitvit::inline SPLITVIT_BUILD::io {

/// What a file with weights in another format than safetensors is, by its first bytes, and how one
/// gets from it to safetensors. Empty for all other files.
inline std::string_view other_weights(std::span<const std::byte> bytes) {
  const std::string_view text{reinterpret_cast<const char*>(bytes.data()),
                              std::min<std::size_t>(bytes.size(), 4096)};
  const auto has = [&](std::string_view part) { return text.find(part) != text.npos; };
  if (text.starts_with("PK\3\4") && has(".npy"))
    return "a NumPy archive, wanted safetensors; Python's safetensors.numpy.save_file writes them";
  const bool pickle = text.size() > 2 && text[0] == '\x80' && text[1] >= 2 && text[1] <= 5;
  if (pickle || text.starts_with("PK\3\4"))
    return "a pickle of PyTorch, wanted safetensors; in Python: d = torch.load(FILE, "
           "map_location='cpu', weights_only=True), then safetensors.torch.save_file("
           "d.get('model', d.get('state_dict', d)), 'FILE.safetensors')";
  if (text.starts_with("\x89HDF")) return "an HDF5 file, wanted safetensors";
  if (text.starts_with("GGUF")) return "a GGUF file, wanted safetensors";
  if (text.starts_with("version https://git-lfs"))
    return "a pointer of Git LFS; 'git lfs pull' fetches the file itself";
  if (text.starts_with("{") && has("\"weight_map\""))
    return "a list of files, wanted one file; in Python: load each with "
           "safetensors.torch.load_file "
           "and save all of them with save_file";
  return {};
}

}  // namespace splitvit::inline SPLITVIT_BUILD::io
