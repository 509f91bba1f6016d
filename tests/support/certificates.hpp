// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>           // byte
#include <initializer_list>  // initializer_list
#include <memory>            // unique_ptr
#include <stdexcept>         // runtime_error
#include <string>            // string

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <splitvit/transport/tls_context.hpp>  // detail::Freed, TlsOptions

#include "support/bytes.hpp"             // bytes_of
#include "support/temporary_folder.hpp"  // TemporaryFolder

// Credentials of any kind, in files of a folder of their own.

namespace splitvit::test {

using Key = std::unique_ptr<EVP_PKEY, transport::detail::Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, transport::detail::Freed<X509_free>>;

/// What a certificate says.
struct Subject {
  const char* name = "";                        ///< common name; empty: no name at all
  const char* alternatives = "";                ///< such as "DNS:localhost,IP:127.0.0.1"
  const char* usage = "clientAuth,serverAuth";  ///< extended
  long from_now = -3600, until = 3600;          ///< seconds
};

class Authority {
 public:
  explicit Authority(const char* name = "Authority") : key_{new_key()} {
    certificate_ = signed_by_this({.name = name, .usage = ""}, key_.get(), true);
    write_certificate("authority.pem", certificate_.get());
  }

  /// The options of a party with a new key and such a certificate.
  transport::TlsOptions party(const Subject& subject, const std::string& server_name = {}) {
    const std::string number = std::to_string(++serial_);
    const Key key = new_key();
    write_certificate(number + ".pem", signed_by_this(subject, key.get(), false).get());
    write_key(number + ".key", key.get());
    return {.certificate = path(number + ".pem"),
            .key = path(number + ".key"),
            .authority = path("authority.pem"),
            .server_name = server_name};
  }

  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  const support::TemporaryFolder& folder() const { return folder_; }

 private:
  static Key new_key() { return Key{EVP_EC_gen("P-256")}; }

  Certificate signed_by_this(const Subject& subject, EVP_PKEY* key, bool is_authority) {
    Certificate made{X509_new()};
    X509* const x = made.get();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial_);
    X509_gmtime_adj(X509_getm_notBefore(x), subject.from_now);
    X509_gmtime_adj(X509_getm_notAfter(x), subject.until);
    X509_set_pubkey(x, key);
    if (*subject.name != '\0')
      X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(subject.name), -1, -1, 0);
    X509* const issuer = is_authority ? x : certificate_.get();
    X509_set_issuer_name(x, X509_get_subject_name(issuer));
    add(x, issuer, NID_basic_constraints, is_authority ? "critical,CA:TRUE" : "CA:FALSE");
    add(x, issuer, NID_subject_key_identifier, "hash");
    add(x, issuer, NID_authority_key_identifier, "keyid");
    add(x, issuer, NID_subject_alt_name, subject.alternatives);
    add(x, issuer, NID_ext_key_usage, subject.usage);
    if (X509_sign(x, key_.get(), EVP_sha256()) == 0) throw std::runtime_error("no certificate");
    return made;
  }

  static void add(X509* to, X509* issuer, int what, const char* value) {
    if (*value == '\0') return;
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, what, value);
    if (extension == nullptr) throw std::runtime_error("no extension");
    X509_add_ext(to, extension, -1);
    X509_EXTENSION_free(extension);
  }

  void write_certificate(const std::string& name, X509* certificate) {
    write(name, [&](BIO* out) { PEM_write_bio_X509(out, certificate); });
  }
  void write_key(const std::string& name, EVP_PKEY* key) {
    write(name, [&](BIO* out) {
      PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
    });
  }
  void write(const std::string& name, const auto& put) {
    const std::unique_ptr<BIO, transport::detail::Freed<BIO_free_all>> out{BIO_new(BIO_s_mem())};
    put(out.get());
    char* text = nullptr;
    const auto size = static_cast<std::size_t>(BIO_get_mem_data(out.get(), &text));
    write_secret(folder_, name, {text, size});
  }

 public:
  /// Writes a file that nobody else may read, and returns its path.
  static std::string write_secret(const support::TemporaryFolder& folder, const std::string& name,
                                  const std::string& text) {
    const auto path = folder.write(name, bytes_of(text));
    using std::filesystem::perms;
    std::filesystem::permissions(path, perms::owner_read | perms::owner_write);
    return path.string();
  }

 private:
  support::TemporaryFolder folder_;
  int serial_ = 0;
  Key key_;
  Certificate certificate_;
};

/// A pre-shared key of one digit, 64 times, in a file.
class SharedKey {
 public:
  explicit SharedKey(char digit = '5')
      : path_{Authority::write_secret(folder_, "key", std::string(64, digit) + "\n")} {}
  transport::TlsOptions options() const { return {.pre_shared_key = path_}; }

 private:
  support::TemporaryFolder folder_;
  std::string path_;
};

}  // namespace splitvit::test
