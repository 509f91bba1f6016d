// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy, equal, max
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

/// Owns memory from allocate() for numbers, which it does not initialise. Like unique_ptr, which
/// takes compilers much more time and memory.
template <class T>
class Memory {
 public:
  Memory() = default;
  explicit Memory(std::size_t count) : data_{Recycled<T>{}.allocate(count)} {}
  Memory(Memory&& other) noexcept : data_{other.data_} { other.data_ = nullptr; }
  Memory& operator=(Memory&& other) noexcept {
    T* const mine = data_;
    data_ = other.data_;
    other.data_ = mine;
    return *this;
  }
  ~Memory() { deallocate(data_); }

  T* data() const { return data_; }

 private:
  T* data_ = nullptr;
};

/// A vector of numbers, or of structs of numbers, over allocate(). Its functions mean what those of
/// std::vector mean, which takes compilers much more time and memory.
template <class T>
class RecycledVector {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  using value_type = T;

  RecycledVector() = default;
  explicit RecycledVector(std::size_t count, const T& value = T{}) { resize(count, value); }
  RecycledVector(std::initializer_list<T> values) { append(values.begin(), values.end()); }
  template <class Iterator>
    requires(!std::is_integral_v<Iterator>)
  RecycledVector(Iterator first, Iterator last) {
    for (; first != last; ++first) push_back(static_cast<T>(*first));
  }
  RecycledVector(const RecycledVector& other) { append(other.begin(), other.end()); }
  RecycledVector(RecycledVector&& other) noexcept { swap(other); }
  RecycledVector& operator=(const RecycledVector& other) {
    if (this == &other) return *this;
    clear();
    append(other.begin(), other.end());
    return *this;
  }
  RecycledVector& operator=(RecycledVector&& other) noexcept {
    swap(other);
    other.clear();
    return *this;
  }
  ~RecycledVector() = default;

  T* data() { return memory_.data(); }
  const T* data() const { return memory_.data(); }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  T& operator[](std::size_t i) { return data()[i]; }
  const T& operator[](std::size_t i) const { return data()[i]; }
  T& back() { return data()[size_ - 1]; }
  const T& back() const { return data()[size_ - 1]; }

  void clear() { size_ = 0; }
  void reserve(std::size_t count) {
    if (count <= room_) return;
    Memory<T> larger{count};
    std::copy(begin(), end(), larger.data());
    memory_ = std::move(larger);
    room_ = count;
  }
  void resize(std::size_t count, const T& value = T{}) {
    const T copy = value;  // it may be one of these
    reserve(count);
    for (; size_ < count; ++size_) data()[size_] = copy;
    size_ = count;
  }
  void assign(std::size_t count, const T& value) {
    const T copy = value;
    clear();
    resize(count, copy);
  }
  void push_back(const T& value) {
    const T copy = value;
    append(&copy, &copy + 1);
  }
  /// Appends numbers that are not its own.
  void append(const T* first, const T* last) {
    const auto count = static_cast<std::size_t>(last - first);
    if (size_ + count > room_) reserve(std::max(2 * room_, size_ + count));
    std::copy(first, last, end());
    size_ += count;
  }

  /// Element for element.
  friend bool operator==(const RecycledVector& a, const RecycledVector& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }
  friend bool operator==(const RecycledVector& a, const std::vector<T>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  void swap(RecycledVector& other) {
    Memory<T> memory = std::move(other.memory_);
    other.memory_ = std::move(memory_);
    memory_ = std::move(memory);
    std::swap(size_, other.size_);
    std::swap(room_, other.room_);
  }

  Memory<T> memory_;
  std::size_t size_ = 0, room_ = 0;
};

}  // namespace splitvit::inline SPLITVIT_BUILD
