// SPDX-License-Identifier: MIT
// Labels from a stranger: refused with WireError, or read to labels that can be sent on.
// Input: u8 rows, u16 classes, then the bytes that came. corpus/make_corpus.cpp makes the first
// inputs.

#include <cstddef>  // byte, size_t
#include <cstdint>  // uint8_t
#include <cstdlib>  // abort
#include <cstring>  // memcmp
#include <span>     // as_bytes, span
#include <vector>   // vector

#include <splitvit/autograd/ops/cross_entropy.hpp>  // target_rows
#include <splitvit/core/error.hpp>                  // WireError
#include <splitvit/wire/labels.hpp>                 // put_labels, read_labels

namespace {

using namespace splitvit;

/// The same probabilities, bit for bit.
template <class T>
void require_equal_rows(const Labels& a, const Labels& b, Index classes) {
  const auto x = target_rows<T>(a, classes), y = target_rows<T>(b, classes);
  if (x.shape() != y.shape() || std::memcmp(x.data(), y.data(), x.span().size_bytes()) != 0)
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const Index rows = data[0], classes = data[1] + 256 * data[2];
  const auto in = std::as_bytes(std::span{data + 3, size - 3});
  Labels labels;
  try {
    labels = wire::read_labels(in, rows, classes);
  } catch (const WireError&) {
    return 0;
  }
  if (labels.row_count() != rows) std::abort();
  // What was accepted can be written in no more bytes, and comes back with the same probabilities.
  std::vector<std::byte> out;
  wire::put_labels(labels, classes, out);
  if (out.size() > in.size()) std::abort();
  const Labels again = wire::read_labels(out, rows, classes);
  require_equal_rows<float>(labels, again, classes);
  require_equal_rows<double>(labels, again, classes);
  return 0;
}
