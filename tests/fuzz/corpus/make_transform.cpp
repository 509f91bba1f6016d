// SPDX-License-Identifier: MIT

// Makes the first inputs of the fuzz target transform: messages of short sessions. Run it from the
// root of the repository after a change of the codec's bytes:
//
//   c++ -std=c++20 -Iinclude -Itests tests/fuzz/corpus/make_transform.cpp -o make_transform
//   ./make_transform tests/fuzz/corpus

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/transform_messages.hpp"

int main(int argc, char** argv) {
  using namespace splitvit;
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_transform FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = std::filesystem::path{argv[1]} / "transform";
  std::filesystem::create_directories(folder);
  constexpr int B = 2, N = 5, D = 6;
  for (unsigned kind = 0; kind < 3; ++kind) {
    codec::Transform sender = test::transform_of(kind);
    for (int message = 0; message < 4; ++message) {
      std::vector<std::byte> bytes;
      Rng rng;
      codec::encode<float>(sender, test::message_tokens<float>({B, N, D}, message).view(), bytes,
                           rng);
      std::ofstream out{folder / (std::to_string(kind) + "_" + std::to_string(message)),
                        std::ios::binary};
      for (const int byte : {static_cast<int>(kind), message, B - 1, N - 1, D - 1})
        out.put(static_cast<char>(byte));
      out.write(reinterpret_cast<const char*>(bytes.data()),
                static_cast<std::streamsize>(bytes.size()));
      if (!out.flush()) throw std::runtime_error("cannot write below " + folder.string());
    }
  }
  return 0;
}
