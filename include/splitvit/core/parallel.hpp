// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min, max
#include <exception>  // exception_ptr

#if defined(__SSE2__)
#include <xmmintrin.h>  // _mm_getcsr, _mm_setcsr
#endif

#include <splitvit/core/shape.hpp>      // Index
#include <splitvit/core/workspace.hpp>  // Recycled, Scoped

#if SPLITVIT_USE_TBB
#include <oneapi/tbb/blocked_range.h>  // blocked_range
#include <oneapi/tbb/parallel_for.h>   // parallel_for
#include <oneapi/tbb/partitioner.h>    // simple_partitioner
#include <oneapi/tbb/task_arena.h>     // task_arena, this_task_arena
#else
#include <atomic>  // atomic
#include <mutex>   // mutex
#include <thread>  // thread
#endif

// Loops over several threads. Work is divided by its size alone, and partial results are combined
// in a fixed order, so that results do not depend on the number of threads. This is the only header
// that names oneTBB; without it the same functions run on std::thread.

namespace splitvit::inline SPLITVIT_BUILD {

/// Treats denormal numbers as zero while it lives, then restores the previous mode. One such number
/// can make an instruction a hundred times slower, and a result must not depend on which thread
/// computed it, so every parallel body runs under it. For x86 and arm64; elsewhere it does nothing.
class FlushDenormals {
 public:
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;
#if defined(__SSE2__)
  FlushDenormals() { _mm_setcsr(before_ | 0x8040u); }  // FTZ and DAZ
  ~FlushDenormals() { _mm_setcsr(before_); }

 private:
  unsigned before_ = _mm_getcsr();
#elif defined(__aarch64__)
  FlushDenormals() { set_mode(before_ | std::uint64_t{1} << 24); }  // FZ
  ~FlushDenormals() { set_mode(before_); }

 private:
  static std::uint64_t mode() {
    std::uint64_t bits = 0;
    asm volatile("mrs %0, fpcr" : "=r"(bits));
    return bits;
  }
  static void set_mode(std::uint64_t bits) { asm volatile("msr fpcr, %0" : : "r"(bits)); }

  std::uint64_t before_ = mode();
#else
  FlushDenormals() {}
#endif
};

#if !SPLITVIT_USE_TBB
namespace detail {
/// How many threads a loop started by this thread may use; 1 inside a loop.
inline int& thread_limit() {
  thread_local int limit = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  return limit;
}
}  // namespace detail
#endif

/// How many threads a loop started here may use.
inline int available_threads() {
#if SPLITVIT_USE_TBB
  return oneapi::tbb::this_task_arena::max_concurrency();
#else
  return detail::thread_limit();
#endif
}

/// Calls `work()` with loops limited to `threads` threads, and returns what it returns.
template <class Work>
decltype(auto) with_threads(int threads, Work&& work) {
#if SPLITVIT_USE_TBB
  oneapi::tbb::task_arena arena{std::max(1, threads)};
  return arena.execute(std::forward<Work>(work));
#else
  const detail::Scoped<int> limit{detail::thread_limit(), std::max(1, threads)};
  return std::forward<Work>(work)();
#endif
}

namespace detail {
/// A loop's body behind a pointer to a function, so that run_loop is compiled once for all loops.
struct LoopBody {
  const void* body;
  void (*call)(const void* body, Index begin, Index end);
};

inline void run_loop(Index n, Index grain, LoopBody body) {
  const Index pieces = (n + grain - 1) / grain;
  const auto run = [n, grain, body, pool = current_pool()](Index piece) {
    const FlushDenormals flush;
    const Scoped<Pool*> memory{current_pool(), pool};
    body.call(body.body, piece * grain, std::min(n, (piece + 1) * grain));
  };
  if (pieces == 1 || available_threads() == 1) {
    for (Index piece = 0; piece < pieces; ++piece) run(piece);
    return;
  }
#if SPLITVIT_USE_TBB
  oneapi::tbb::parallel_for(
      oneapi::tbb::blocked_range<Index>{0, pieces, 1},
      [&](const oneapi::tbb::blocked_range<Index>& range) {
        for (Index piece = range.begin(); piece < range.end(); ++piece) run(piece);
      },
      oneapi::tbb::simple_partitioner{});
#else
  std::atomic<Index> next{0};
  std::exception_ptr error;
  std::mutex error_guard;
  const auto work = [&] {
    const Scoped<int> inside{thread_limit(), 1};
    for (Index piece = next++; piece < pieces; piece = next++) {
      try {
        run(piece);
      } catch (...) {
        const std::lock_guard lock{error_guard};
        if (!error) error = std::current_exception();
        next = pieces;
      }
    }
  };
  {
    const auto helpers = static_cast<std::size_t>(std::min<Index>(available_threads(), pieces) - 1);
    std::vector<std::jthread> threads;
    threads.reserve(helpers);
    for (std::size_t i = 0; i < helpers; ++i) threads.emplace_back(work);
    work();
  }  // joins
  if (error) std::rethrow_exception(error);
#endif
}
}  // namespace detail

/// Calls `body(begin, end)` for consecutive pieces of [0, n), each `grain` long (the last one may
/// be shorter), on several threads. Bodies take memory from the workspace that the caller uses.
///
/// Errors  What a body throws is thrown here; pieces not yet started may be left out.
template <class Body>
void parallel_for(Index n, Index grain, const Body& body) {
  if (n <= 0) return;
  detail::run_loop(n, grain, {&body, [](const void* self, Index begin, Index end) {
                                (*static_cast<const Body*>(self))(begin, end);
                              }});
}

/// Combines `partial(begin, end)` of consecutive pieces of [0, n) pairwise in a fixed tree:
/// the same bits for any number of threads. `zero` is the result for n = 0.
template <class T, class Partial, class Combine>
T parallel_reduce(Index n, Index grain, T zero, const Partial& partial, const Combine& combine) {
  if (n <= 0) return zero;
  std::vector<T, Recycled<T>> parts(static_cast<std::size_t>((n + grain - 1) / grain), zero);
  parallel_for(n, grain, [&](Index begin, Index end) {
    parts[static_cast<std::size_t>(begin / grain)] = partial(begin, end);
  });
  for (std::size_t stride = 1; stride < parts.size(); stride *= 2)
    for (std::size_t i = 0; i + stride < parts.size(); i += 2 * stride)
      parts[i] = combine(parts[i], parts[i + stride]);
  return parts[0];
}

}  // namespace splitvit::inline SPLITVIT_BUILD
