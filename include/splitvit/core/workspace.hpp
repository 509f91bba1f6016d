// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // equal
#include <atomic>     // atomic
#include <bit>        // countl_zero
#include <mutex>      // mutex, lock_guard
#include <new>        // align_val_t, bad_array_new_length, placement new

#include <splitvit/core/std.hpp>

namespace splitvit::inline SPLITVIT_BUILD {

namespace detail {
class Pool;

/// Lies before every block of memory that allocate() hands out.
struct alignas(64) BlockHeader {
  Pool* pool;         ///< the pool that takes it back; null: the heap
  BlockHeader* next;  ///< in a pool's list
  std::size_t size_class;
};

/// Sizes are rounded up to 5, 6, 7 or 8 times a power of two: at most a quarter is wasted.
inline std::size_t size_class_of(std::size_t bytes) {
  constexpr std::size_t smallest = 256;
  if (bytes <= smallest) return 0;
  // The width of bytes - 1, which is a number of another type in each standard library, less 3.
  const auto shift = static_cast<std::size_t>(61 - std::countl_zero(std::uint64_t{bytes - 1}));
  return 4 * (shift - 5) + ((bytes - 1) >> shift) - 7;
}
inline std::size_t bytes_of_class(std::size_t size_class) {
  if (size_class == 0) return 256;
  const std::size_t step = size_class + 3;
  return (step % 4 + 5) << (step / 4 + 5);
}

/// A new block from the heap, for at least `bytes` bytes.
inline BlockHeader* heap_block(std::size_t bytes, Pool* pool, std::size_t size_class) {
  constexpr std::align_val_t alignment{alignof(BlockHeader)};
  return new (::operator new(sizeof(BlockHeader) + bytes, alignment))
      BlockHeader{.pool = pool, .next = nullptr, .size_class = size_class};
}
inline void free_block(BlockHeader* block) {
  ::operator delete(block, std::align_val_t{alignof(BlockHeader)});
}

/// Free blocks by size, for any thread. Lives until its workspace and all its blocks are gone.
class Pool {
 public:
  BlockHeader* take(std::size_t bytes) {
    const std::size_t size_class = size_class_of(bytes);
    if (size_class >= lists_.size()) throw std::bad_array_new_length{};
    BlockHeader* block = nullptr;
    {
      const std::lock_guard lock{guard_};
      BlockHeader*& list = lists_[size_class];
      if (list != nullptr) block = std::exchange(list, list->next);
    }
    if (block == nullptr) {
      block = heap_block(bytes_of_class(size_class), this, size_class);
      held_ += bytes_of_class(size_class);
    }
    ++users_;
    return block;
  }

  void give(BlockHeader* block) {
    {
      const std::lock_guard lock{guard_};
      if (!closed_) {
        BlockHeader*& list = lists_[block->size_class];
        block->next = std::exchange(list, block);
        block = nullptr;
      }
    }
    if (block != nullptr) free_block(block);
    leave();
  }

  /// The workspace is destroyed. Blocks in use are freed later.
  void close() {
    {
      const std::lock_guard lock{guard_};
      closed_ = true;
      for (BlockHeader*& list : lists_)
        while (list != nullptr) free_block(std::exchange(list, list->next));
    }
    leave();
  }

  std::size_t held() const { return held_; }

 private:
  void leave() {
    if (--users_ == 0) delete this;
  }

  std::mutex guard_;
  std::array<BlockHeader*, 4 * 40> lists_{};  // blocks of up to 2^47 bytes
  bool closed_ = false;
  std::atomic<std::size_t> users_{1};  // the workspace, and every block in use
  std::atomic<std::size_t> held_{0};
};

/// Where this thread's allocate() looks first; null: nowhere.
inline Pool*& current_pool() {
  thread_local Pool* pool = nullptr;
  return pool;
}

/// Gives a variable of this thread another value while it lives.
template <class T>
class Scoped {
 public:
  Scoped(T& variable, T value) : variable_{variable}, before_{std::exchange(variable, value)} {}
  ~Scoped() { variable_ = before_; }
  Scoped(const Scoped&) = delete;
  Scoped& operator=(const Scoped&) = delete;

 private:
  T& variable_;
  T before_;
};
}  // namespace detail

/// Memory that one training step releases and the next one reuses, owned by the caller that runs
/// the steps: after the first ones there is no search for blocks, and no new page to zero.
///
///   Workspace workspace;
///   for (...) {
///     const Workspace::Use use{workspace};
///     ...  // a step: tensors, graphs and the scratch memory of kernels come from it
///   }
///
/// Tensors may outlive it. Until it is destroyed it holds the peak of all steps.
class Workspace {
 public:
  /// While it lives, memory for this thread and its parallel loops comes from the workspace.
  class Use : detail::Scoped<detail::Pool*> {
   public:
    explicit Use(const Workspace& workspace) : Scoped{detail::current_pool(), workspace.pool_} {}
  };

  Workspace() = default;
  Workspace(Workspace&& other) : Workspace{} { std::swap(pool_, other.pool_); }
  Workspace& operator=(Workspace&& other) noexcept {
    std::swap(pool_, other.pool_);
    return *this;
  }
  ~Workspace() { pool_->close(); }

  /// Bytes taken from the heap so far.
  std::size_t held() const { return pool_->held(); }

 private:
  detail::Pool* pool_ = new detail::Pool;
};

/// Uninitialised memory, aligned to 64 bytes, from the workspace in use or from the heap.
inline void* allocate(std::size_t bytes) {
  if (bytes > std::numeric_limits<std::size_t>::max() / 2) throw std::bad_array_new_length{};
  detail::Pool* const pool = detail::current_pool();
  return (pool != nullptr ? pool->take(bytes) : detail::heap_block(bytes, nullptr, 0)) + 1;
}

/// Any thread may release the memory.
inline void deallocate(void* memory) {
  if (memory == nullptr) return;
  detail::BlockHeader* const block = static_cast<detail::BlockHeader*>(memory) - 1;
  if (block->pool != nullptr)
    block->pool->give(block);
  else
    detail::free_block(block);
}

/// For unique_ptr to memory from allocate().
struct Deallocate {
  void operator()(void* memory) const { deallocate(memory); }
};

/// An allocator for standard containers, over allocate().
template <class T>
struct Recycled {
  using value_type = T;

  Recycled() = default;
  template <class U>
  Recycled(const Recycled<U>&) {}

  T* allocate(std::size_t count) {
    if (count > std::numeric_limits<std::size_t>::max() / 2 / sizeof(T))
      throw std::bad_array_new_length{};
    return static_cast<T*>(splitvit::allocate(count * sizeof(T)));
  }
  void deallocate(T* memory, std::size_t) { splitvit::deallocate(memory); }
  bool operator==(const Recycled&) const = default;
};

template <class T>
using RecycledVector = std::vector<T, Recycled<T>>;

/// Element for element.
template <class T>
bool operator==(const RecycledVector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace splitvit::inline SPLITVIT_BUILD
