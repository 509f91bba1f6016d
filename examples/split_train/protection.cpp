// SPDX-License-Identifier: MIT
#include "split_train/protection.hpp"

#include <string>   // string
#include <utility>  // move, pair

#include <splitvit/core/error.hpp>  // StorageError

#include "split_train/slow_link.hpp"  // run_through_line

#if SPLITVIT_HAS_TLS
#include <splitvit/transport/tls.hpp>  // TlsContext, TlsLink, TlsListener, TlsRole
#endif

namespace split_train {

namespace sv = splitvit;

#if SPLITVIT_HAS_TLS
struct Protection {
  sv::transport::TlsContext context;
};
#else
struct Protection {};
#endif

namespace {

/// The first option of TLS that is given; empty without any.
std::string first_option_of_tls(const Options& o) {
  if (!o.psk_file.empty()) return "--psk-file";
  if (!o.tls_cert.empty()) return "--tls-cert";
  if (!o.tls_key.empty()) return "--tls-key";
  if (!o.tls_ca.empty()) return "--tls-ca";
  return o.tls_name.empty() ? "" : "--tls-name";
}

/// Which option named the file that an error begins with, such as "--psk-file "; empty for another
/// error.
[[maybe_unused]] std::string option_with(const Options& o, const std::string& error) {
  const std::pair<const char*, const std::string*> files[] = {{"--psk-file", &o.psk_file},
                                                              {"--tls-cert", &o.tls_cert},
                                                              {"--tls-key", &o.tls_key},
                                                              {"--tls-ca", &o.tls_ca}};
  for (const auto& [option, file] : files)
    if (!file->empty() && error.starts_with(*file + ":")) return std::string{option} + " ";
  return "";
}

/// The credentials of options that go together.
std::shared_ptr<const Protection> read_credentials([[maybe_unused]] const Options& o) {
#if SPLITVIT_HAS_TLS
  using sv::transport::TlsRole;
  const bool has_name = o.role == Role::client && o.psk_file.empty();
  try {
    return std::make_shared<const Protection>(Protection{sv::transport::TlsContext{
        o.role == Role::client ? TlsRole::client : TlsRole::server,
        {.certificate = o.tls_cert,
         .key = o.tls_key,
         .authority = o.tls_ca,
         .pre_shared_key = o.psk_file,
         .server_name = has_name && o.tls_name.empty() ? o.endpoint.host : o.tls_name}}});
  } catch (const sv::StorageError& error) {
    throw UsageError(option_with(o, error.what()) + error.what());
  }
#else
  throw UsageError(first_option_of_tls(o) +
                   ": this program was built without OpenSSL 3; cmake/setup.sh installs it "
                   "(libssl-dev on Debian and Ubuntu), then build again");
#endif
}

}  // namespace

std::shared_ptr<const Protection> protection_of(const Options& o) {
  const auto need = [](bool holds, const std::string& text) {
    if (!holds) throw UsageError(text);
  };
  const std::string given = first_option_of_tls(o);
  if (o.mpi) {
    need(given.empty() && !o.insecure,
         "--link mpi goes without " + (given.empty() ? "--insecure" : given));
    return nullptr;
  }
  need(o.role != Role::both || (given.empty() && !o.insecure),
       (given.empty() ? "--insecure" : given) + " is for --role server and --role client");
  if (given.empty()) {
    need(o.insecure || sv::transport::is_loopback(o.endpoint),
         (o.role == Role::server ? "--listen " : "--connect ") + o.endpoint.text() +
             ": beyond this machine others can read and change what is sent; wanted --psk-file, or "
             "--tls-cert with --tls-key and --tls-ca, or --insecure");
    return nullptr;
  }
  need(!o.insecure, "--insecure goes without " + given);
  const bool is_complete = !o.tls_cert.empty() && !o.tls_key.empty() && !o.tls_ca.empty();
  if (o.psk_file.empty())
    need(is_complete, "--tls-cert, --tls-key and --tls-ca are needed together");
  else
    need(o.tls_cert.empty() && o.tls_key.empty() && o.tls_ca.empty() && o.tls_name.empty(),
         "--psk-file goes without --tls-cert, --tls-key, --tls-ca and --tls-name");
  need(o.tls_name.empty() || o.role == Role::client, "--tls-name is for the client");
  return read_credentials(o);
}

sv::transport::AnyLink connect([[maybe_unused]] const Options& options,
                               const sv::transport::Endpoint& server,
                               const sv::transport::ConnectOptions& how) {
  sv::transport::TcpLink link = sv::transport::connect_tcp(server, how);
#if SPLITVIT_HAS_TLS
  if (options.protection)
    return sv::transport::TlsLink{std::move(link), options.protection->context};
#endif
  return link;
}

void serve(sv::split::Service<float>& service, sv::transport::TcpListener& listener,
           const Options& options, const std::function<bool()>& goes_on) {
#if SPLITVIT_HAS_TLS
  if (options.protection) {
    sv::transport::TlsListener<sv::transport::TcpListener&> protected_listener{
        listener, options.protection->context};
    return run_through_line(options, service, protected_listener, goes_on);
  }
#endif
  run_through_line(options, service, listener, goes_on);
}

}  // namespace split_train
