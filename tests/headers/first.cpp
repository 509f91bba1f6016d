// SPDX-License-Identifier: MIT
#include "forwards.hpp"

int seen_by_second();

int main() { return seen_by_second() == SPLITVIT_VERSION_MAJOR ? 0 : 1; }
