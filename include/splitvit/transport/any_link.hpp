// SPDX-License-Identifier: MIT
#pragma once

#include <memory>  // make_unique, unique_ptr

#include <splitvit/transport/concepts.hpp>  // Deadline, HasDeadline, Transport

namespace splitvit::inline SPLITVIT_BUILD::transport {

/// Any link, chosen while the program runs. Models Transport and HasDeadline; a deadline has no
/// effect on a link that cannot stop waiting.
///
///   AnyLink link = local ? AnyLink{std::move(memory)} : connect_tcp(endpoint);
///
/// Destruction, and assignment of another link, close the link within.
///
/// Errors  The errors of the link.
class AnyLink {
 public:
  // Transport is no constraint here: it would ask whether an AnyLink can be moved, in a circle.
  template <class Link>
    requires(!std::same_as<Link, AnyLink>)
  AnyLink(Link link) : link_{std::make_unique<Model<Link>>(std::move(link))} {
    static_assert(Transport<Link>, "AnyLink holds a link");
  }

  std::size_t read_some(std::span<std::byte> into) { return link_->read_some(into); }
  std::size_t write_some(std::span<const std::byte> from) { return link_->write_some(from); }
  void set_deadline(Deadline when) { link_->set_deadline(when); }
  /// Whether the link within can stop waiting.
  bool has_deadline() const { return link_->has_deadline(); }
  /// Whom the peer has proved to be, as TlsLink says it; empty if the link within cannot tell.
  std::string identity() const { return link_->identity(); }

 private:
  struct Interface {
    virtual ~Interface() = default;
    virtual std::size_t read_some(std::span<std::byte> into) = 0;
    virtual std::size_t write_some(std::span<const std::byte> from) = 0;
    virtual void set_deadline(Deadline when) = 0;
    virtual bool has_deadline() const = 0;
    virtual std::string identity() const = 0;
  };

  template <class Link>
  struct Model final : Interface {
    explicit Model(Link held) : link{std::move(held)} {}

    std::size_t read_some(std::span<std::byte> into) override { return link.read_some(into); }
    std::size_t write_some(std::span<const std::byte> from) override {
      return link.write_some(from);
    }
    void set_deadline(Deadline when) override { set_deadline_if_possible(link, when); }
    bool has_deadline() const override { return can_stop_waiting(link); }
    std::string identity() const override {
      if constexpr (requires { link.identity(); })
        return link.identity();
      else
        return {};
    }

    Link link;
  };

  std::unique_ptr<Interface> link_;
};

static_assert(Transport<AnyLink> && HasDeadline<AnyLink> && !std::copy_constructible<AnyLink>);

}  // namespace splitvit::inline SPLITVIT_BUILD::transport
