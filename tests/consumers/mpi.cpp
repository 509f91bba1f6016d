// SPDX-License-Identifier: MIT
// A stranger's program for the processes of an MPI job: the optional part, found as a component.
#include <array>
#include <cstddef>
#include <cstdio>

#include <splitvit/transport/mpi.hpp>

int main() {
  namespace transport = splitvit::transport;
  transport::Mpi mpi;
  transport::MpiListener listener{mpi};
  transport::MpiLink there = mpi.connect(mpi.rank());
  transport::MpiLink here = listener.accept();
  const std::array<std::byte, 3> sent{std::byte{1}, std::byte{2}, std::byte{3}};
  std::array<std::byte, 3> came{};
  transport::write_all(there, sent);
  transport::read_exactly(here, came);
  std::printf("process %d of %d %s\n", mpi.rank(), mpi.size(),
              came == sent ? "hears itself" : "hears something else");
  return came == sent ? 0 : 1;
}
