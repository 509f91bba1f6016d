// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min
#include <cstddef>    // byte, size_t
#include <span>       // span
#include <vector>     // vector

#include <splitvit/wire/frame.hpp>  // FrameHeader, put_header

// OutputQueue: bytes that wait to be written to a link, in order.

namespace splitvit::wire {

using Bytes = std::span<const std::byte>;

/// A list of pieces. Short pieces are copied; long ones are borrowed and must live until they are
/// written. Memory is reused once everything has been written.
class OutputQueue {
 public:
  static constexpr std::size_t longest_copy = 4096;

  void append(const FrameHeader& header) {
    const std::size_t begin = copied_.size();
    put_header(copied_, header);
    extend(begin);
  }

  /// Copies bytes up to 4 KiB, since each piece may cost a packet, and borrows longer ones.
  void append(Bytes bytes) {
    if (bytes.empty()) return;
    if (bytes.size() > longest_copy) {
      pieces_.push_back({.borrowed = bytes});
      return;
    }
    const std::size_t begin = copied_.size();
    copied_.insert(copied_.end(), bytes.begin(), bytes.end());
    extend(begin);
  }

  bool empty() const { return pieces_.empty(); }

  /// The next bytes to write: the rest of the first piece; empty if nothing waits. Valid until
  /// the next call that is not const.
  Bytes front() const {
    return pieces_.empty() ? Bytes{} : bytes_of(pieces_[first_]).subspan(written_);
  }

  /// The first `count` bytes of front() have been written.
  void written(std::size_t count) {
    written_ += std::min(count, front().size());
    if (!front().empty()) return;
    written_ = 0;
    if (++first_ == pieces_.size()) clear();
  }

  void clear() {
    pieces_.clear();
    copied_.clear();
    first_ = written_ = 0;
  }

  /// Where the queue ends now. Valid until something is written.
  struct Mark {
    std::size_t copied = 0, pieces = 0, last_size = 0;
  };
  Mark mark() const {
    return {copied_.size(), pieces_.size(), pieces_.empty() ? 0 : pieces_.back().size};
  }
  /// Removes everything that was appended since the mark.
  void rollback(const Mark& mark) noexcept {
    copied_.resize(mark.copied);
    pieces_.resize(mark.pieces);
    if (!pieces_.empty()) pieces_.back().size = mark.last_size;
  }

  /// Takes memory for `copied` more copied bytes in `pieces` more pieces. Appending them then
  /// cannot fail.
  void reserve(std::size_t copied, std::size_t pieces) {
    copied_.reserve(copied_.size() + copied);
    pieces_.reserve(pieces_.size() + pieces);
  }

 private:
  struct Piece {
    Bytes borrowed = {};
    std::size_t begin = 0, size = 0;  // within copied_, unless borrowed
  };

  Bytes bytes_of(const Piece& piece) const {
    return piece.borrowed.empty() ? Bytes{copied_}.subspan(piece.begin, piece.size)
                                  : piece.borrowed;
  }

  /// Adds the copied bytes from `begin` on to the last piece if it is a copied one, else to a new
  /// one.
  void extend(std::size_t begin) {
    if (pieces_.empty() || !pieces_.back().borrowed.empty()) pieces_.push_back({.begin = begin});
    pieces_.back().size += copied_.size() - begin;
  }

  std::vector<std::byte> copied_;
  std::vector<Piece> pieces_;
  std::size_t first_ = 0;    // the first piece that is not fully written
  std::size_t written_ = 0;  // bytes of it that are written
};

}  // namespace splitvit::wire
