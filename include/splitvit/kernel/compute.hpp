// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/error.hpp>          // ArgumentError
#include <splitvit/kernel/brain_pair.hpp>   // BrainPair, has_brain_unit
#include <splitvit/kernel/matrix_unit.hpp>  // may_use_matrix_unit
#include <splitvit/kernel/simd.hpp>         // instruction_set

namespace splitvit::inline SPLITVIT_BUILD {
namespace kernel {

/// The numbers that the products of a layer multiply. Sums, and all else, stay of type T.
enum class Compute {
  float32,  ///< of type T, as they are
  bf16,     ///< rounded to bfloat16, 8 significant bits, for the processor's unit
};

/// Errors  std::invalid_argument for bf16 if T is not float, or the build is for processors without
///         instructions for it.
template <std::floating_point T>
void require_compute(Compute compute) {
  if (compute == Compute::float32) return;
  if (!std::same_as<T, float>) throw std::invalid_argument("compute bf16: wanted a model of float");
  if (!has_brain_unit)
    throw ArgumentError(
        {"compute bf16: this program was compiled for ", instruction_set(),
         " without AVX512_BF16; wanted xsimd and -march=native on a processor that has it, or "
         "float32"});
}

/// For people: how this process computes so.
inline const char* compute_text(Compute compute) {
  if (compute == Compute::float32) return "float32";
  return detail::may_use_matrix_unit() ? "bf16 by AMX" : "bf16 by VDPBF16PS";
}

/// Calls body.operator()<Stored>() with the type of the factors in a product (gemm.hpp).
/// Errors  as require_compute.
template <std::floating_point T, class Body>
void with_stored(Compute compute, const Body& body) {
  require_compute<T>(compute);
  if constexpr (std::same_as<T, float> && has_brain_unit)
    if (compute == Compute::bf16) return body.template operator()<BrainPair>();
  body.template operator()<T>();
}

}  // namespace kernel

using kernel::Compute;

}  // namespace splitvit::inline SPLITVIT_BUILD
