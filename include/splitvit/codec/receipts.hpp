// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // convertible_to, default_initializable, derived_from, floating_point

#include <splitvit/codec/concepts.hpp>  // Codec, NoReceipt, ReceiverReceipt, SenderReceipt
#include <splitvit/core/shape.hpp>      // Index

// What receipts tell: whether a gradient may take another way than the activations did, and how
// many numbers were too large to be sent as they were.

namespace splitvit::codec {

/// A receipt without anything to undo, only a count for the report.
struct Saturation : NoReceipt {
  Index saturated = 0;  ///< numbers beyond the largest finite one, which were sent as it
};

/// How many numbers the encoder had to replace by the largest one that it can write; 0 for a
/// codec that does not count them.
template <class Receipt>
Index saturated_values(const Receipt& receipt) {
  if constexpr (requires {
                  { receipt.saturated } -> std::convertible_to<Index>;
                })
    return receipt.saturated;
  else
    return 0;
}

/// A codec whose backward calls need nothing from the forward ones: what is decoded is the
/// codec's own reconstruction of the gradient, as if encoding were the identity. Its receipts
/// are NoReceipt, or derived from it.
template <class C, class T>
concept StraightThrough = Codec<C, T> && std::derived_from<SenderReceipt<C, T>, NoReceipt> &&
                          std::derived_from<ReceiverReceipt<C, T>, NoReceipt> &&
                          std::default_initializable<SenderReceipt<C, T>> &&
                          std::default_initializable<ReceiverReceipt<C, T>>;

/// The same, asked of a codec whose parts are chosen while the program runs: it says so itself.
template <std::floating_point T, Codec<T> C>
bool is_straight_through(const C& codec) {
  if constexpr (requires {
                  { codec.template straight_through<T>() } -> std::same_as<bool>;
                })
    return codec.template straight_through<T>();
  else
    return StraightThrough<C, T>;
}

}  // namespace splitvit::codec
