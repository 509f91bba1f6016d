// SPDX-License-Identifier: MIT
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <splitvit/transport/tls.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/links.hpp"
#include "tls/pairs.hpp"

using namespace splitvit;
using namespace splitvit::transport;
using test::Authority;
using test::Contexts;
using test::greet;
using test::Greeting;
using test::reason_of;

namespace {

/// A greeting in which the server refuses the client.
void check_refused(const Greeting& greeting, const std::string& by_server,
                   const std::string& by_client) {
  CHECK(greeting.server == "TLS with the peer: " + by_server);
  CHECK(greeting.client == "TLS with the peer: " + by_client);
}

}  // namespace

TEST_CASE("TLS: both know who the other is", "[tls]") {
  Authority authority;
  const auto server = authority.party({.name = "server", .alternatives = "DNS:here.example"});
  const Greeting greeting = greet({authority.party({.name = "a, b"}, "here.example"), server});
  CHECK(greeting.client.empty());
  CHECK(greeting.server.empty());
  CHECK(greeting.client_identity == "CN=a\\, b");
  CHECK(greeting.server_identity == "CN=server");
  const test::SharedKey key;
  CHECK(greet(Contexts{key}).client_identity == "holder of the pre-shared key");
}

TEST_CASE("TLS: another pre-shared key, or none", "[tls]") {
  const test::SharedKey key, other{'6'};
  check_refused(greet({other.options(), key.options()}), "it has another pre-shared key",
                "it has another pre-shared key");
  Authority authority;
  check_refused(greet({authority.party({.name = "client"}, "server"), key.options()}),
                "it has no pre-shared key",
                "it wants other credentials, a certificate or a pre-shared key");
}

TEST_CASE("TLS: a server's certificate that does not fit", "[tls]") {
  Authority authority, other{"Other"}, same_name;
  const auto client = authority.party({.name = "client"}, "here");
  const auto refusal = [&](const TlsOptions& server) {
    const Greeting greeting = greet({client, server});
    CHECK(greeting.server_identity.empty());
    CHECK(!greeting.server.empty());
    return greeting.client;
  };
  const std::string begin = "TLS with the peer: its certificate ";
  CHECK(refusal(authority.party({.name = "here", .alternatives = "DNS:there"})) ==
        begin + "is not for 'here'");
  CHECK(refusal(authority.party({.name = "s", .alternatives = "DNS:here", .until = -60})) ==
        begin + "has expired");
  CHECK(refusal(authority.party({.name = "s", .alternatives = "DNS:here", .from_now = 600})) ==
        begin + "is not valid yet");
  CHECK(
      refusal(authority.party({.name = "s", .alternatives = "DNS:here", .usage = "clientAuth"})) ==
      begin + "is not a server's");
  auto foreign = other.party({.name = "s", .alternatives = "DNS:here"});
  foreign.authority = client.authority;
  CHECK(refusal(foreign) == begin + "is signed by another authority");
  auto alike = same_name.party({.name = "s", .alternatives = "DNS:here"});
  alike.authority = client.authority;
  CHECK(refusal(alike) == begin + "is signed by another authority");
  CHECK(refusal(authority.party({.alternatives = "DNS:here"})) ==
        "TLS with the peer: its certificate names nobody");
  // An address is compared with addresses.
  const auto to_address = authority.party({.name = "client"}, "127.0.0.1");
  const Greeting by_name =
      greet({to_address, authority.party({.name = "s", .alternatives = "DNS:127.0.0.1"})});
  CHECK(by_name.client == begin + "is not for '127.0.0.1'");
}

TEST_CASE("TLS: a client's certificate that does not fit", "[tls]") {
  Authority authority, other{"Other"};
  const auto server = authority.party({.name = "server", .alternatives = "DNS:here"});
  const auto with = [&](TlsOptions client) {
    client.authority = authority.path("authority.pem");
    return greet({client, server});
  };
  check_refused(with(other.party({.name = "client"}, "here")),
                "its certificate is signed by another authority",
                "it knows no authority that has signed this side's certificate");
  check_refused(with(authority.party({.name = "client", .until = -60}, "here")),
                "its certificate has expired", "it says that this side's certificate has expired");
  check_refused(with(authority.party({.name = "client", .usage = "serverAuth"}, "here")),
                "its certificate is not a client's", "it refuses this side's certificate");
  const test::SharedKey key;
  const Greeting without = greet({key.options(), server});
  CHECK(without.server.starts_with("TLS with the peer: it"));
  CHECK(without.client_identity.empty());
}

TEST_CASE("TLS: a peer that does not speak it", "[tls]") {
  const test::SharedKey key;
  const Contexts contexts{key};
  std::byte room{};
  for (const char* const text : {"SPVT and more", "GET / HTTP/1.1\r\n\r\n", "\x16\x02"}) {
    for (const TlsContext& context : {contexts.client, contexts.server}) {
      struct Timed : test::ScriptLink {
        using ScriptLink::ScriptLink;
        void set_deadline(Deadline) {}
      };
      std::string error;
      {
        Timed script{test::bytes_of(text)};
        const auto written = script.written();
        TlsLink link{std::move(script), context};
        CHECK(reason_of([&] { link.read_some(std::span{&room, 1}); }, &error) == Reason::refused);
        CHECK(error == "TLS with the peer: it does not use TLS");
        CHECK(reason_of([&] { link.write_some(std::span{&room, 1}); }) == Reason::refused);
        // A plain client hears an alert, a server a hello and no more.
        if (context.role() == TlsRole::server)
          CHECK(*written == test::bytes_of({21, 3, 3, 0, 2, 2, 10}));
        else
          CHECK(written->at(0) == std::byte{22});
      }
    }
  }
}

TEST_CASE("TLS: options that do not belong together", "[tls]") {
  Authority authority;
  const test::SharedKey key;
  const auto good = authority.party({.name = "client"}, "here");
  const auto refusal = [](TlsRole role, const TlsOptions& options) {
    try {
      TlsContext{role, options};
    } catch (const std::invalid_argument& error) {
      return std::string{error.what()};
    }
    return std::string{};
  };
  CHECK(refusal(TlsRole::client, good).empty());
  const std::string either =
      "TLS: wanted either certificate, key and authority, or a pre-shared key";
  CHECK(refusal(TlsRole::client, {}) == either);
  auto both = good;
  both.pre_shared_key = key.options().pre_shared_key;
  CHECK(refusal(TlsRole::client, both) == either);
  for (std::string TlsOptions::* const member :
       {&TlsOptions::certificate, &TlsOptions::key, &TlsOptions::authority}) {
    auto one_less = good;
    (one_less.*member).clear();
    CHECK(refusal(TlsRole::client, one_less) ==
          "TLS: certificate, key and authority are needed together");
  }
  const std::string name = "TLS: the server's name is needed at a client, and only there";
  CHECK(refusal(TlsRole::server, good) == name);
  auto nameless = good;
  nameless.server_name.clear();
  CHECK(refusal(TlsRole::client, nameless) == name);
}

TEST_CASE("TLS: files that do not hold what they should", "[tls]") {
  Authority authority;
  const auto good = authority.party({.name = "client"}, "here");
  std::string error;
  const auto reason = [&](const TlsOptions& options) {
    return reason_of<StorageError>([&] { TlsContext{TlsRole::client, options}; }, &error);
  };
  const auto secret = [&](const std::string& text) {
    return TlsOptions{.pre_shared_key = Authority::write_secret(authority.folder(), "key", text)};
  };
  for (const char* const text : {"", "\n", "12", "not hexadecimal"}) {
    CHECK(reason(secret(text)) == Reason::wrong_content);
    CHECK_THAT(error, ContainsSubstring("wanted a key of 64 hexadecimal digits"));
  }
  for (const std::string& text :
       {std::string(63, 'a'), std::string(65, 'a'), std::string(63, 'a') + "g",
        std::string(32, 'a') + " " + std::string(32, 'a')})
    CHECK(reason(secret(text)) == Reason::wrong_content);
  CHECK(reason(secret(std::string(64, 'A') + " \r\n")) == std::nullopt);

  auto open = secret(std::string(64, 'a'));
  using std::filesystem::perms;
  for (const perms more : {perms::group_read, perms::others_read, perms::group_write}) {
    std::filesystem::permissions(open.pre_shared_key, perms::owner_read | more);
    CHECK(reason(open) == Reason::wrong_content);
    CHECK_THAT(error, ContainsSubstring("others may read or change this secret; run chmod 600"));
  }
  open = good;
  std::filesystem::permissions(open.key, perms::owner_read | perms::others_read);
  CHECK(reason(open) == Reason::wrong_content);
  std::filesystem::permissions(open.key, perms::owner_read);

  const std::string text = authority.folder().write("text", test::bytes_of("text")).string();
  std::filesystem::permissions(text, perms::owner_read);
  for (std::string TlsOptions::* const member :
       {&TlsOptions::certificate, &TlsOptions::key, &TlsOptions::authority}) {
    auto options = good;
    options.*member = "nowhere";
    CHECK(reason(options) == Reason::cannot_open);
    CHECK(error.starts_with("nowhere: "));
    options.*member = text;
    CHECK(reason(options) == Reason::wrong_content);
    CHECK(error.starts_with(text + ": wanted "));
  }
  auto other_key = good;
  other_key.key = authority.party({.name = "other"}, "here").key;
  CHECK(reason(other_key) == Reason::wrong_content);
  CHECK_THAT(error, ContainsSubstring("wanted the private key of the certificate"));
  CHECK(reason({.pre_shared_key = "nowhere"}) == Reason::cannot_open);
}
