// SPDX-License-Identifier: MIT
#include "split_train/build_info.hpp"

#include <splitvit/core/error.hpp>   // joined
#include <splitvit/kernel/simd.hpp>  // instruction_set
#include <splitvit/version.hpp>

namespace split_train {

namespace {

std::string compiler() {
#if defined(__clang__)
  return splitvit::joined(
      {"clang ", __clang_major__, ".", __clang_minor__, ".", __clang_patchlevel__});
#elif defined(__GNUC__)
  return splitvit::joined({"g++ ", __GNUC__, ".", __GNUC_MINOR__, ".", __GNUC_PATCHLEVEL__});
#else
  return "not known";
#endif
}

std::string version() {
  return splitvit::joined(
      {SPLITVIT_VERSION_MAJOR, ".", SPLITVIT_VERSION_MINOR, ".", SPLITVIT_VERSION_PATCH});
}

}  // namespace

std::vector<splitvit::report::Setting> build_info() {
  const auto built_in = [](bool there) { return there ? "built in" : "not built in"; };
#if SPLITVIT_HAS_IMAGES
  constexpr bool images = true;
#else
  constexpr bool images = false;
#endif
#if SPLITVIT_HAS_TLS
  constexpr bool tls = true;
#else
  constexpr bool tls = false;
#endif
#if SPLITVIT_HAS_MPI
  constexpr bool mpi = true;
#else
  constexpr bool mpi = false;
#endif
  std::vector<splitvit::report::Setting> all{
      {"version", version()},
      {"compiler", compiler()},
      {"instruction set", splitvit::kernel::instruction_set()},
      {"xsimd", built_in(SPLITVIT_USE_XSIMD != 0)},
      {"oneTBB", built_in(SPLITVIT_USE_TBB != 0)},
      {"images (JPEG, PNG, gzip)", built_in(images)},
      {"TLS", built_in(tls)},
      {"MPI", built_in(mpi)}};
#if defined(SPLITVIT_COMMIT)  // built from a checkout
  all.push_back({"commit", SPLITVIT_COMMIT});
#endif
  return all;
}

std::string version_text() {
  std::string text = "split_train of splitvit";
  for (const auto& [key, value] : build_info())
    text += key == "version" ? " " + value : "\n" + key + ": " + value;
  return text;
}

}  // namespace split_train
