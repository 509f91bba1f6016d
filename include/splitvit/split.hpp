// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/split/aggregator.hpp>
#include <splitvit/split/answering.hpp>
#include <splitvit/split/averaging.hpp>
#include <splitvit/split/batch_source.hpp>
#include <splitvit/split/checkpoints.hpp>
#include <splitvit/split/client.hpp>
#include <splitvit/split/client_role.hpp>
#include <splitvit/split/cut.hpp>
#include <splitvit/split/group.hpp>
#include <splitvit/split/known_client.hpp>
#include <splitvit/split/known_clients.hpp>
#include <splitvit/split/learner.hpp>
#include <splitvit/split/messages.hpp>
#include <splitvit/split/options.hpp>
#include <splitvit/split/party_checkpoints.hpp>
#include <splitvit/split/report.hpp>
#include <splitvit/split/rounds.hpp>
#include <splitvit/split/server.hpp>
#include <splitvit/split/server_role.hpp>
#include <splitvit/split/service.hpp>
#include <splitvit/split/session_event.hpp>
#include <splitvit/split/sharing.hpp>
#include <splitvit/split/simulation.hpp>
#include <splitvit/split/turn.hpp>
