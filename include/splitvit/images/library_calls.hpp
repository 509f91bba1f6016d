// SPDX-License-Identifier: MIT
#pragma once

#include <csetjmp>  // jmp_buf, longjmp, setjmp

#include <splitvit/core/error.hpp>  // Reason, StorageError

namespace splitvit::inline SPLITVIT_BUILD::images::detail {

/// Calls into a C library whose error callback must not return: it jumps back to where the call
/// was made. A jump must not pass over an object with a destructor, so that a step has none.
class LibraryCalls {
 public:
  /// `source` names the file in messages and must outlive this object; `format` is its kind.
  LibraryCalls(const std::string& source, const char* format) : source_{source}, format_{format} {}

  /// Errors  StorageError (damaged_file) with the text of fail() if `call` ends in it.
  template <class Call>
  void step(const Call& call) {
    if (!succeeds(call))
      throw StorageError(Reason::damaged_file, {source_, ": ", format_, ": ", text_.data()});
  }

  /// For the library's callback within a step: ends the step. Cuts a longer text off.
  [[noreturn]] void fail(std::string_view why) {
    text_[why.copy(text_.data(), text_.size() - 1)] = '\0';
    std::longjmp(failed_, 1);
  }

 private:
  template <class Call>
  bool succeeds(const Call& call) {
    if (setjmp(failed_) != 0) return false;
    call();
    return true;
  }

  const std::string& source_;
  const char* format_;
  std::jmp_buf failed_{};
  std::array<char, 200> text_{};
};

}  // namespace splitvit::inline SPLITVIT_BUILD::images::detail
