// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // find, find_if, max, min

#include <splitvit/core/error.hpp>          // Reason, ReasonedError, WireError
#include <splitvit/transport/concepts.hpp>  // HasDeadline, Transport, read_part, write_part
#include <splitvit/wire/session.hpp>        // Refusal, Session, SessionOptions, Time

namespace splitvit::inline SPLITVIT_BUILD::wire {

/// Writes what can be written without a wait. Ignores an error of the link.
template <transport::HasDeadline Link>
void write_now(Link& link, Session& session, Time now) {
  link.set_deadline(now);
  try {
    while (!session.output().empty())
      session.written(transport::write_part(link, session.output()), now);
  } catch (const ReasonedError&) {
  }
}

/// The connections of a server whose hello is not answered yet. Nothing here waits for a link. Each
/// has the time of a handshake and takes a few KiB; where there are too many, the oldest is closed,
/// so that a new client is always heard.
template <transport::Transport Link>
  requires transport::HasDeadline<Link>
class Unadmitted {
 public:
  struct Entry {
    Link link;
    Session session;
    Time since;  ///< when it came, or its hello
  };

  /// Errors  std::invalid_argument if `most` is 0.
  Unadmitted(std::size_t most, const SessionOptions& options) : most_{most}, options_{options} {
    if (most == 0)
      throw std::invalid_argument("Unadmitted: at least one connection must be allowed");
  }

  std::size_t size() const { return entries_.size(); }

  void add(Link link, Time now) {
    if (entries_.size() >= most_) close_oldest();
    entries_.push_back({std::move(link), Session::server(options_, now), now});
  }
  /// Closes the older half and allows no more than are left, 4 at least: more than there are cannot
  /// be had. Returns whether one was closed.
  bool shrink() {
    const std::size_t before = entries_.size();
    most_ = std::min(most_, std::max<std::size_t>(before / 2, 4));
    while (entries_.size() > most_) close_oldest();
    return entries_.size() < before;
  }

  /// The links whose hello has not come, oldest first; valid until the next call of another
  /// function.
  std::vector<Link*> links() {
    std::vector<Link*> links;
    for (Entry& entry : entries_)
      if (!entry.session.has_hello()) links.push_back(&entry.link);
    return links;
  }

  /// Reads what has come over these links of links(). Closes those that send anything but a hello,
  /// which are told why, and those whose time is over. `on_error(link, error)` is called for each.
  template <class OnError>
  void read(const std::vector<Link*>& ready, Time now, OnError&& on_error) {
    std::erase_if(entries_, [&](Entry& entry) {
      try {
        const bool has_come = std::find(ready.begin(), ready.end(), &entry.link) != ready.end();
        if (has_come) read(entry, now);
        entry.session.tick(now);
        return false;
      } catch (const ReasonedError& error) {
        entry.session.fail(error);
        write_now(entry.link, entry.session, now);
        on_error(entry.link, error);
        return true;
      }
    });
  }

  /// Takes out the oldest connection with a hello if is_to_be_answered(hello, since), where `since`
  /// is when the hello came.
  std::optional<Entry> take_if(const auto& is_to_be_answered) {
    const auto found = std::find_if(entries_.begin(), entries_.end(),
                                    [](const Entry& entry) { return entry.session.has_hello(); });
    if (found == entries_.end() || !is_to_be_answered(found->session.hello(), found->since))
      return std::nullopt;
    Entry entry = std::move(*found);
    entries_.erase(found);
    return entry;
  }

 private:
  void close_oldest() { entries_.erase(entries_.begin()); }
  static void read(Entry& entry, Time now) {
    entry.link.set_deadline(now);
    try {
      const std::size_t n = transport::read_part(entry.link, entry.session.space());
      if (entry.session.filled(n, now)) entry.since = now;
    } catch (const TransportError& error) {
      if (error.reason() != Reason::timed_out) throw;  // nothing was there
    }
  }

  std::size_t most_;
  SessionOptions options_;
  std::vector<Entry> entries_;  // oldest first
};

}  // namespace splitvit::inline SPLITVIT_BUILD::wire
