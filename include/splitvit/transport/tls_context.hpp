// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>    // perms, status
#include <memory>        // make_shared, shared_ptr, unique_ptr
#include <new>           // bad_alloc
#include <system_error>  // error_code

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <splitvit/core/error.hpp>  // ArgumentError, Reason, StorageError
#include <splitvit/core/file.hpp>   // read_file

namespace splitvit::inline SPLITVIT_BUILD::transport {

enum class TlsRole { client, server };

/// How a party shows who it is, and knows its peer: by certificates under an authority of one's
/// own, or by a key that only the two parties have.
struct TlsOptions {
  std::string certificate = {};  ///< PEM file; those between it and the authority's may follow
  std::string key = {};          ///< PEM file of its private key, which nobody else may read
  std::string authority = {};    ///< PEM file: who must have signed the peer's certificate
  /// File with 64 hexadecimal digits, which nobody else may read; in place of the three above.
  std::string pre_shared_key = {};
  /// Client: the host name or address that the server's certificate must have.
  std::string server_name = {};
  /// A sender changes its key after so many records of at most 16 KiB; AES-GCM allows 2^24.5.
  std::uint64_t records_per_key = std::uint64_t{1} << 22;
};

namespace detail {
template <auto free>
struct Freed {
  void operator()(auto* held) const { free(held); }
};
using SslContext = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using SslSession = std::unique_ptr<SSL_SESSION, Freed<SSL_SESSION_free>>;

/// Whether the owner alone may read a file. What is wrong with it otherwise is found on reading.
inline void require_secret(const std::string& path) {
  using std::filesystem::perms;
  std::error_code error;
  const perms allowed = std::filesystem::status(path, error).permissions();
  if (!error && allowed != perms::unknown &&
      (allowed & (perms::group_all | perms::others_all)) != perms::none)
    throw StorageError(Reason::wrong_content,
                       {path, ": others may read or change this secret; run chmod 600 on it"});
}

/// The key in a file: 64 hexadecimal digits, and white space at the end.
inline std::array<unsigned char, 32> read_pre_shared_key(const std::string& path) {
  require_secret(path);
  std::string text;
  for (const std::byte b : read_file(path, 4096)) text += static_cast<char>(b);
  text.resize(text.find_last_not_of(" \t\r\n") + 1);
  std::array<unsigned char, 32> key{};
  bool is_key = text.size() == 2 * key.size();
  for (std::size_t i = 0; is_key && i < text.size(); ++i) {
    const int digit = OPENSSL_hexchar2int(static_cast<unsigned char>(text[i]));
    is_key = digit >= 0;
    if (is_key) key[i / 2] = static_cast<unsigned char>(key[i / 2] * 16 + digit);
  }
  OPENSSL_cleanse(text.data(), text.size());
  if (!is_key)
    throw StorageError(Reason::wrong_content,
                       {path,
                        ": wanted a key of 64 hexadecimal digits, such as by "
                        "openssl rand -hex 32"});
  return key;
}
}  // namespace detail

/// Credentials, read once, for any number of links. TLS 1.3 only, without resumption and early
/// data. A copy refers to the same credentials.
///
/// Errors  ArgumentError unless the options are a pre-shared key or certificate, key and authority,
///         with a server's name at a client; StorageError naming the file: as read_file, or
///         wrong_content for a secret that others may read, for a file that does not hold what it
///         should, and for a key that is another certificate's.
class TlsContext {
 public:
  TlsContext(TlsRole role, TlsOptions options)
      : state_{std::make_shared<State>(role, std::move(options))} {
    const TlsOptions& o = state_->options;
    SSL_CTX* const context = get();
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256");
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(context, name_bytes(), key_name.size());
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_max_cert_list(context, most_handshake_bytes);
    const bool any_certificate =
        !o.certificate.empty() || !o.key.empty() || !o.authority.empty() || !o.server_name.empty();
    if (o.pre_shared_key.empty() == !any_certificate)
      throw ArgumentError("TLS: wanted either certificate, key and authority, or a pre-shared key");
    if (any_certificate)
      use_certificates();
    else
      use_pre_shared_key();
  }

  TlsRole role() const { return state_->role; }
  const TlsOptions& options() const { return state_->options; }
  bool has_certificates() const { return options().pre_shared_key.empty(); }
  SSL_CTX* get() const { return state_->context.get(); }

  /// The most bytes of a message of the handshake, so that a stranger cannot make this side take
  /// more memory.
  static constexpr std::uint16_t most_handshake_bytes = 16384;

 private:
  struct State {
    State(TlsRole r, TlsOptions o)
        : role{r},
          options{std::move(o)},
          context{SSL_CTX_new(r == TlsRole::client ? TLS_client_method() : TLS_server_method())} {
      if (!context) throw std::bad_alloc{};
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { OPENSSL_cleanse(key.data(), key.size()); }

    TlsRole role;
    TlsOptions options;
    std::array<unsigned char, 32> key{};
    detail::SslContext context;
  };

  void use_certificates() {
    const TlsOptions& o = options();
    if (o.certificate.empty() || o.key.empty() || o.authority.empty())
      throw ArgumentError("TLS: certificate, key and authority are needed together");
    if (o.server_name.empty() != (role() == TlsRole::server))
      throw ArgumentError("TLS: the server's name is needed at a client, and only there");
    detail::require_secret(o.key);
    // It must not ask on the terminal for the passphrase of a key.
    SSL_CTX_set_default_passwd_cb(get(), [](char*, int, int, void*) { return -1; });
    load(o.authority, "certificates of an authority",
         SSL_CTX_load_verify_locations(get(), readable(o.authority), nullptr));
    load(o.certificate, "a certificate",
         SSL_CTX_use_certificate_chain_file(get(), readable(o.certificate)));
    load(o.key, "the private key of the certificate, without a passphrase",
         SSL_CTX_use_PrivateKey_file(get(), readable(o.key), SSL_FILETYPE_PEM));
  }

  /// The path, after read_file has found out what may be wrong with the file.
  static const char* readable(const std::string& path) {
    read_file(path, std::uintmax_t{1} << 20);
    return path.c_str();
  }
  static void load(const std::string& path, const char* what, int result) {
    ERR_clear_error();
    if (result != 1)
      throw StorageError(Reason::wrong_content, {path, ": wanted ", what, ", as PEM"});
  }

  void use_pre_shared_key() {
    state_->key = detail::read_pre_shared_key(options().pre_shared_key);
    SSL_CTX_set_app_data(get(), state_.get());
    if (role() == TlsRole::client)
      SSL_CTX_set_psk_use_session_callback(
          get(), [](SSL* ssl, const EVP_MD*, const unsigned char** identity, std::size_t* size,
                    SSL_SESSION** session) {
            *identity = name_bytes();
            *size = key_name.size();
            *session = session_of(ssl);
            return *session != nullptr ? 1 : 0;
          });
    else
      SSL_CTX_set_psk_find_session_callback(get(), [](SSL* ssl, const unsigned char* identity,
                                                      std::size_t size, SSL_SESSION** session) {
        const bool is_ours =
            key_name == std::string_view{reinterpret_cast<const char*>(identity), size};
        *session = is_ours ? session_of(ssl) : nullptr;
        return 1;
      });
  }

  /// What OpenSSL wants to know of a pre-shared key; null without memory.
  static SSL_SESSION* session_of(SSL* ssl) {
    const auto& key = static_cast<const State*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)))->key;
    constexpr unsigned char suite[] = {0x13, 0x01};  // TLS_AES_128_GCM_SHA256, for its hash
    detail::SslSession session{SSL_SESSION_new()};
    const bool is_made =
        session && SSL_SESSION_set1_id_context(session.get(), name_bytes(), key_name.size()) == 1 &&
        SSL_SESSION_set1_master_key(session.get(), key.data(), key.size()) == 1 &&
        SSL_SESSION_set_cipher(session.get(), SSL_CIPHER_find(ssl, suite)) == 1 &&
        SSL_SESSION_set_protocol_version(session.get(), TLS1_3_VERSION) == 1;
    return is_made ? session.release() : nullptr;
  }

  /// Of the key, and of what may be taken for a session with it.
  static constexpr std::string_view key_name = "splitvit";
  static const unsigned char* name_bytes() {
    return reinterpret_cast<const unsigned char*>(key_name.data());
  }

  std::shared_ptr<State> state_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::transport
