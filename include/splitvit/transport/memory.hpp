// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>           // min
#include <condition_variable>  // condition_variable
#include <cstring>             // memcpy
#include <memory>              // make_shared, make_unique, shared_ptr, unique_ptr
#include <mutex>               // mutex, unique_lock

#include <splitvit/core/error.hpp>                // Reason, TransportError
#include <splitvit/transport/concepts.hpp>        // Deadline, no_deadline
#include <splitvit/transport/detail/waiting.hpp>  // wait_until_ready

namespace splitvit::inline SPLITVIT_BUILD::transport {

namespace detail {
/// One direction of a MemoryLink: a ring of bytes with one reader and one writer.
class Pipe {
 public:
  explicit Pipe(std::size_t capacity) : ring_(capacity) {}

  std::size_t read(std::span<std::byte> into) {
    std::unique_lock lock{guard_};
    wait(lock, read_deadline_, "read", [this] { return size_ > 0 || writer_gone_; });
    const std::size_t n = std::min(into.size(), size_);
    const std::size_t straight = std::min(n, ring_.size() - begin_);
    std::memcpy(into.data(), ring_.data() + begin_, straight);
    std::memcpy(into.data() + straight, ring_.data(), n - straight);
    begin_ = (begin_ + n) % ring_.size();
    size_ -= n;
    changed_.notify_all();
    return n;  // 0 only when the writer is gone and nothing is left
  }

  std::size_t write(std::span<const std::byte> from) {
    std::unique_lock lock{guard_};
    wait(lock, write_deadline_, "write", [this] { return size_ < ring_.size() || reader_gone_; });
    if (reader_gone_)
      throw TransportError(Reason::closed, "MemoryLink: write: the peer closed the link");
    const std::size_t n = std::min(from.size(), ring_.size() - size_);
    const std::size_t end = (begin_ + size_) % ring_.size();
    const std::size_t straight = std::min(n, ring_.size() - end);
    std::memcpy(ring_.data() + end, from.data(), straight);
    std::memcpy(ring_.data(), from.data() + straight, n - straight);
    size_ += n;
    changed_.notify_all();
    return n;
  }

  void set_read_deadline(Deadline when) { change(read_deadline_, when); }
  void set_write_deadline(Deadline when) { change(write_deadline_, when); }
  void close_reader() { change(reader_gone_, true); }
  void close_writer() { change(writer_gone_, true); }

 private:
  void wait(std::unique_lock<std::mutex>& lock, const Deadline& deadline, const char* what,
            const auto& ready) {
    if (!wait_until_ready(lock, changed_, deadline, ready))
      throw TransportError(Reason::timed_out,
                           {"MemoryLink: ", what, ": the peer was silent until the deadline"});
  }

  template <class T>
  void change(T& member, T value) {
    const std::lock_guard lock{guard_};
    member = value;
    changed_.notify_all();
  }

  std::mutex guard_;
  std::condition_variable changed_;  // one is enough: reader and writer never both wait
  std::vector<std::byte> ring_;
  std::size_t begin_ = 0, size_ = 0;
  bool reader_gone_ = false, writer_gone_ = false;
  Deadline read_deadline_ = no_deadline, write_deadline_ = no_deadline;
};
}  // namespace detail

/// One end of a link within a process, made by memory_pair. Models Transport and HasDeadline.
class MemoryLink {
 public:
  MemoryLink(std::shared_ptr<detail::Pipe> in, std::shared_ptr<detail::Pipe> out)
      : end_{std::make_unique<End>(std::move(in), std::move(out))} {}

  std::size_t read_some(std::span<std::byte> into) { return end_->in->read(into); }
  std::size_t write_some(std::span<const std::byte> from) { return end_->out->write(from); }

  /// Also applies to a call that already waits.
  void set_deadline(Deadline when) {
    end_->in->set_read_deadline(when);
    end_->out->set_write_deadline(when);
  }

 private:
  struct End {
    End(std::shared_ptr<detail::Pipe> from, std::shared_ptr<detail::Pipe> to)
        : in{std::move(from)}, out{std::move(to)} {}
    End(const End&) = delete;
    End& operator=(const End&) = delete;
    ~End() {
      in->close_reader();
      out->close_writer();
    }

    std::shared_ptr<detail::Pipe> in, out;
  };

  std::unique_ptr<End> end_;
};

/// The two ends of a new link, for two threads. Each direction holds at most `capacity` bytes.
///
/// Errors  std::invalid_argument if capacity is 0.
inline std::pair<MemoryLink, MemoryLink> memory_pair(std::size_t capacity = std::size_t{1} << 18) {
  if (capacity == 0) throw std::invalid_argument("memory_pair: capacity must be at least 1 byte");
  auto there = std::make_shared<detail::Pipe>(capacity);
  auto back = std::make_shared<detail::Pipe>(capacity);
  return {MemoryLink{back, there}, MemoryLink{there, back}};
}

}  // namespace splitvit::inline SPLITVIT_BUILD::transport
