// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>           // max
#include <condition_variable>  // condition_variable
#include <exception>           // exception_ptr
#include <functional>          // function
#include <memory>              // unique_ptr
#include <mutex>               // lock_guard, mutex, unique_lock
#include <thread>              // thread

#include <splitvit/core/shape.hpp>  // Index

namespace splitvit::inline SPLITVIT_BUILD::data {

/// Hands out make(begin), make(begin + 1), ..., make(end - 1), made by another thread before they
/// are asked for. At most `ahead` items wait at a time; with ahead 0 there is no thread and next()
/// makes the item. Destruction stops the thread after the item it is making, at most.
template <class Item>
class Prefetch {
 public:
  Prefetch(Index begin, Index end, Index ahead, std::function<Item(Index)> make);

  /// The next item; nothing after the last one.
  /// Errors  What make threw is thrown here in the place of its item, and again afterwards.
  std::optional<Item> next();

 private:
  struct State {     // behind a pointer, so that a Prefetch can be moved while its thread runs
    Index next = 0;  ///< the item to make next
    Index end = 0;
    std::size_t room = 0;
    std::function<Item(Index)> make;
    std::mutex guard;  ///< of the four below and, while there is a thread, of next
    std::condition_variable changed;
    std::vector<Item> ready;
    std::exception_ptr error;
    bool stops = false;
    std::thread thread;

    ~State();

    void run();

    std::optional<Item> take();

    std::optional<Item> make_now();
  };

  std::unique_ptr<State> state_;
};

template <class Item>
Prefetch<Item>::Prefetch(Index begin, Index end, Index ahead, std::function<Item(Index)> make)
    : state_{std::make_unique<State>()} {
  state_->next = begin;
  state_->end = end;
  state_->room = static_cast<std::size_t>(std::max<Index>(ahead, 0));
  state_->make = std::move(make);
  if (state_->room > 0 && begin < end)
    state_->thread = std::thread{[s = state_.get()] { s->run(); }};
}

template <class Item>
Prefetch<Item>::State::~State() {
  if (!thread.joinable()) return;
  {
    const std::lock_guard lock{guard};
    stops = true;
  }
  changed.notify_all();
  thread.join();
}

template <class Item>
std::optional<Item> Prefetch<Item>::next() {
  return state_->room > 0 ? state_->take() : state_->make_now();
}

template <class Item>
void Prefetch<Item>::State::run() {
  std::unique_lock lock{guard};
  while (next < end) {
    changed.wait(lock, [this] { return stops || ready.size() < room; });
    if (stops) return;
    try {
      lock.unlock();
      Item item = make(next);  // only this thread changes next
      lock.lock();
      ready.push_back(std::move(item));
      ++next;
    } catch (...) {
      if (!lock.owns_lock()) lock.lock();
      error = std::current_exception();
      next = end;
    }
    changed.notify_all();
  }
}

template <class Item>
std::optional<Item> Prefetch<Item>::State::take() {
  std::unique_lock lock{guard};
  changed.wait(lock, [this] { return !ready.empty() || next >= end; });
  if (ready.empty()) {
    if (error) std::rethrow_exception(error);
    return std::nullopt;
  }
  std::optional<Item> item{std::move(ready.front())};
  ready.erase(ready.begin());
  lock.unlock();
  changed.notify_all();
  return item;
}

template <class Item>
std::optional<Item> Prefetch<Item>::State::make_now() {
  if (next >= end) return std::nullopt;
  std::optional<Item> item{make(next)};
  ++next;  // after the item: an error comes again when asked again
  return item;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::data
