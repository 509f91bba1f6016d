// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/wire/admission.hpp>
#include <splitvit/wire/connection.hpp>
#include <splitvit/wire/frame.hpp>
#include <splitvit/wire/handshake.hpp>
#include <splitvit/wire/io.hpp>
#include <splitvit/wire/labels.hpp>
#include <splitvit/wire/message.hpp>
#include <splitvit/wire/outbox.hpp>
#include <splitvit/wire/session.hpp>
#include <splitvit/wire/session_options.hpp>
#include <splitvit/wire/session_state.hpp>
#include <splitvit/wire/steps.hpp>
#include <splitvit/wire/tensor_payload.hpp>
#include <splitvit/wire/unadmitted.hpp>
