// SPDX-License-Identifier: MIT

// Makes the first inputs of the fuzz target codecs: for each text of test::codec_texts() a
// tensor and a gradient. Run it from the root of the repository after a change of a codec's
// bytes:
//
//   c++ -std=c++20 -Iinclude -Itests tests/fuzz/corpus/make_codecs.cpp -o make_codecs
//   ./make_codecs tests/fuzz/corpus
//
// Inputs that a fuzzer found later lie beside them and are kept.

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <splitvit/spec/codecs.hpp>

#include "support/codec_texts.hpp"

namespace {

using namespace splitvit;
using Bytes = std::vector<std::byte>;

void save(const std::filesystem::path& file, std::size_t number, bool gradient,
          const Bytes& bytes) {
  std::ofstream out{file, std::ios::binary};
  for (const std::size_t byte : {number, std::size_t{gradient}, std::size_t{1}, std::size_t{2},
                                 std::size_t{3}})  // B = 2, N = 3, D = 4
    out.put(static_cast<char>(byte));
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_codecs FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = std::filesystem::path{argv[1]} / "codecs";
  std::filesystem::create_directories(folder);
  const auto texts = test::codec_texts();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    auto codec = spec::parse_codec<float>(texts[i]);
    Rng rng{.seed = 1};
    Tensor<float> x{{2, 3, 4}};
    for (float& value : x.span()) value = static_cast<float>(rng.normal());
    Bytes up, down;
    codec.encode(x.view(), up, rng);
    const auto came = codec.decode<float>(up, x.shape());
    codec.encode_gradient(x.view(), came.context, down, rng);
    const std::string name = (i < 10 ? "0" : "") + std::to_string(i);
    save(folder / (name + "_up"), i, false, up);
    save(folder / (name + "_down"), i, true, down);
  }
  return 0;
}
