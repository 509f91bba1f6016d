// SPDX-License-Identifier: MIT
#pragma once

// All of transport/, but tcp.hpp, which needs sockets, and tls*.hpp, which need OpenSSL.

#include <splitvit/transport/any_link.hpp>
#include <splitvit/transport/backoff.hpp>
#include <splitvit/transport/concepts.hpp>
#include <splitvit/transport/conformance.hpp>
#include <splitvit/transport/delayed.hpp>
#include <splitvit/transport/endpoint.hpp>
#include <splitvit/transport/memory.hpp>
#include <splitvit/transport/metered.hpp>
#include <splitvit/transport/simulated.hpp>
