// SPDX-License-Identifier: MIT
// A library for tests that ends a program with SIGKILL at one of its calls of the system, without a
// word of this in the program: LD_PRELOAD loads it, and SPLITVIT_KILL_AT says where.
//
//   SPLITVIT_KILL_AT="CALL PATTERN NUMBER MOMENT"
//
// CALL is open, read, write, send, recv, fsync, rename or unlink; PATTERN a pattern as of the
// shell for the whole path of its file, which is socket:[...] for a link; NUMBER counts the calls
// that fit, from 1; MOMENT is before, after, or half for a write or send: after half of its bytes.
// What happens between two calls nobody else can see, so these are all the moments there are.
#include <atomic>       // atomic
#include <csignal>      // kill, SIGKILL
#include <cstdarg>      // va_arg
#include <cstddef>      // size_t
#include <cstdlib>      // getenv
#include <sstream>      // istringstream
#include <string>       // string, to_string
#include <type_traits>  // is_same_v

#include <dlfcn.h>      // dlsym, RTLD_NEXT
#include <fcntl.h>      // O_CREAT
#include <fnmatch.h>    // fnmatch
#include <sys/types.h>  // mode_t, ssize_t
#include <unistd.h>     // getpid, pause, readlink

namespace {

struct Place {
  std::string call, pattern, moment;
  long number = 0;
  std::atomic<long> seen{0};

  Place() {
    const char* const text = std::getenv("SPLITVIT_KILL_AT");
    if (text != nullptr) std::istringstream{text} >> call >> pattern >> number >> moment;
  }
};
Place& place() {
  static Place one;
  return one;
}

[[noreturn]] void die() {
  ::kill(::getpid(), SIGKILL);
  while (true) ::pause();
}

std::string path_of(int file) {
  char path[4096];
  const auto n = ::readlink(("/proc/self/fd/" + std::to_string(file)).c_str(), path, sizeof path);
  return {path, n > 0 ? static_cast<std::size_t>(n) : 0};
}

/// The function of this name that would be called without this library.
template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

/// Whether this is the call at which to end. `file` is a path or a descriptor.
bool is_here(const char* call, const auto& file) {
  Place& at = place();
  if (at.call != call) return false;
  std::string path;
  if constexpr (std::is_same_v<decltype(file), const int&>)
    path = path_of(file);
  else
    path = file;
  return ::fnmatch(at.pattern.c_str(), path.c_str(), 0) == 0 && ++at.seen == at.number;
}

auto around(const char* call, const auto& file, const auto& work) {
  if (!is_here(call, file)) return work();
  if (place().moment != "before") work();
  die();
}

/// As around, for calls that write so many bytes.
ssize_t around_write(const char* call, int file, std::size_t size, const auto& work) {
  if (!is_here(call, file)) return work(size);
  if (place().moment != "before") work(place().moment == "half" ? size / 2 : size);
  die();
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & O_CREAT) != 0) {
    va_list more;
    va_start(more, flags);
    mode = va_arg(more, mode_t);
    va_end(more);
  }
  static auto* const next = real<int(const char*, int, ...)>("open");
  return around("open", path, [&] { return next(path, flags, mode); });
}
ssize_t read(int file, void* into, std::size_t size) {
  static auto* const next = real<ssize_t(int, void*, std::size_t)>("read");
  return around("read", file, [&] { return next(file, into, size); });
}
ssize_t write(int file, const void* from, std::size_t size) {
  static auto* const next = real<ssize_t(int, const void*, std::size_t)>("write");
  return around_write("write", file, size, [&](std::size_t n) { return next(file, from, n); });
}
ssize_t send(int file, const void* from, std::size_t size, int flags) {
  static auto* const next = real<ssize_t(int, const void*, std::size_t, int)>("send");
  return around_write("send", file, size,
                      [&](std::size_t n) { return next(file, from, n, flags); });
}
ssize_t recv(int file, void* into, std::size_t size, int flags) {
  static auto* const next = real<ssize_t(int, void*, std::size_t, int)>("recv");
  return around("recv", file, [&] { return next(file, into, size, flags); });
}
int fsync(int file) {
  static auto* const next = real<int(int)>("fsync");
  return around("fsync", file, [&] { return next(file); });
}
int rename(const char* from, const char* to) noexcept {
  static auto* const next = real<int(const char*, const char*)>("rename");
  return around("rename", to, [&] { return next(from, to); });
}
int unlink(const char* path) noexcept {
  static auto* const next = real<int(const char*)>("unlink");
  return around("unlink", path, [&] { return next(path); });
}

}  // extern "C"
