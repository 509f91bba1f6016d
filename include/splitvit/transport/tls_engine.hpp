// SPDX-License-Identifier: MIT
#pragma once

#include <exception>  // terminate
#include <memory>     // unique_ptr
#include <new>        // bad_alloc

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <splitvit/core/error.hpp>             // joined, Reason, TransportError
#include <splitvit/transport/tls_context.hpp>  // TlsContext, TlsRole

namespace splitvit::inline SPLITVIT_BUILD::transport {

namespace detail {
/// Looks at what a stranger sends before it is given to OpenSSL: whether it is TLS at all, and how
/// long the unencrypted messages of the handshake claim to be.
class TlsRecords {
 public:
  enum class Found { fine, not_tls, too_long };

  Found look_at(std::span<const std::byte> bytes) {
    for (const std::byte b : bytes) {
      const auto value = std::to_integer<unsigned>(b);
      if (header_filled_ < header_.size()) {
        header_[header_filled_++] = value;
        const bool is_known = header_[0] >= 20 && header_[0] <= 23;
        if (!is_known || (header_filled_ > 1 && header_[1] != 3)) return Found::not_tls;
        record_left_ = header_[3] * 256 + header_[4];
      } else {
        --record_left_;
        if (header_[0] == handshake && !fits(value)) return Found::too_long;
      }
      if (header_filled_ == header_.size() && record_left_ == 0) header_filled_ = 0;
    }
    return Found::fine;
  }

 private:
  static constexpr unsigned handshake = 22;

  /// The next byte of a message: u8 type, u24 length, contents. It may continue in other records.
  bool fits(unsigned value) {
    if (message_filled_ < 4) {
      message_left_ = message_filled_ < 2 ? value : message_left_ * 256 + value;
      if (++message_filled_ < 4) return true;
    } else {
      --message_left_;
    }
    if (message_left_ == 0) message_filled_ = 0;
    return message_left_ <= TlsContext::most_handshake_bytes;
  }

  std::array<unsigned, 5> header_{};  // u8 type, u16 version, u16 length
  std::size_t header_filled_ = 0, record_left_ = 0;
  std::size_t message_filled_ = 0, message_left_ = 0;
};

/// What an error of OpenSSL means, about the peer.
struct TlsProblem {
  Reason reason;
  std::string text;
};

inline TlsProblem problem_of_certificate(long result, const TlsContext& context) {
  const auto refused = [](std::string text) { return TlsProblem{Reason::refused, text}; };
  switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return refused("its certificate has expired");
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return refused("its certificate is not valid yet");
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return refused("its certificate is not for '" + context.options().server_name + "'");
    case X509_V_ERR_INVALID_PURPOSE:
      return refused(context.role() == TlsRole::client ? "its certificate is not a server's"
                                                       : "its certificate is not a client's");
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return refused("its certificate is signed by another authority");
    default:
      return refused(std::string{"its certificate cannot be trusted: "} +
                     X509_verify_cert_error_string(result));
  }
}

inline TlsProblem problem_of(unsigned long error, SSL* ssl, const TlsContext& context) {
  const auto refused = [](const char* text) { return TlsProblem{Reason::refused, text}; };
  switch (ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return problem_of_certificate(SSL_get_verify_result(ssl), context);
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return refused("it has shown no certificate");
    case SSL_R_BINDER_DOES_NOT_VERIFY:
      return refused("it has another pre-shared key");
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
      return refused("it has no pre-shared key");
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
      return refused("it does not speak TLS 1.3");
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return refused("it wants a certificate");
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
      return refused("it wants other credentials, a certificate or a pre-shared key");
    case SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER:
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
      if (!context.has_certificates()) return refused("it has another pre-shared key");
      break;
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return refused("it knows no authority that has signed this side's certificate");
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return refused("it says that this side's certificate has expired");
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
      return refused("it refuses this side's certificate");
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
    case SSL_R_SSLV3_ALERT_BAD_RECORD_MAC:
      return {Reason::link_failed, "bytes were changed on their way"};
    default:
      break;
  }
  const char* const text = ERR_reason_error_string(error);
  return {Reason::link_failed, text != nullptr ? text : "the protocol was violated"};
}
}  // namespace detail

/// One side of a TLS connection without I/O: encrypted bytes in and out, and what they mean. Before
/// the handshake is complete nothing can be read, and a peer that is waited for cannot make it hold
/// more than 63 KiB (OpenSSL 3.0). For one thread at a time.
///
/// Errors  TransportError naming the peer, from then on always: refused if the peer is not who it
///         must be, refuses this side, or does not speak TLS; link_failed for bytes that were
///         damaged or changed, or break the protocol.
class TlsEngine {
 public:
  /// `peer` names it in errors.
  explicit TlsEngine(const TlsContext& context, std::string peer = "the peer")
      : context_{context}, peer_{std::move(peer)}, ssl_{SSL_new(context.get())} {
    if (!ssl_) throw std::bad_alloc{};
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl_.get(), in_, out_);  // owns them
    if (in_ == nullptr || out_ == nullptr) throw std::bad_alloc{};
    BIO_set_mem_eof_return(in_, -1);                         // no bytes: more must come
    SSL_set_max_send_fragment(ssl_.get(), smallest_record);  // it takes a buffer of that size
    if (context.role() == TlsRole::server)
      SSL_set_accept_state(ssl_.get());
    else
      SSL_set_connect_state(ssl_.get());
    const std::string& name = context.options().server_name;
    if (!name.empty() &&
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), name.c_str()) != 1)
      SSL_set1_host(ssl_.get(), name.c_str());
  }

  /// Encrypted bytes have come.
  void received(std::span<const std::byte> bytes) {
    require_fine();
    using enum detail::TlsRecords::Found;
    if (!is_open()) {
      const auto found = records_.look_at(bytes);
      if (found == not_tls) refuse_plain_peer();
      if (found == too_long) fail(Reason::link_failed, "its part of the handshake is too long");
    }
    put(in_, bytes);
  }

  /// Does what can be done of the handshake. Returns whether it is complete; if not, more must
  /// come.
  bool handshake() {
    require_fine();
    if (is_open()) return true;
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result != 1 && SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ) return false;
    if (result != 1) fail();
    identity_ = find_identity();
    if (identity_.empty())
      fail(Reason::refused, context_.has_certificates() ? "its certificate names nobody"
                                                        : "it has no pre-shared key");
    SSL_set_max_send_fragment(ssl_.get(), largest_record);
    SSL_set_split_send_fragment(ssl_.get(), largest_record);
    return true;
  }
  bool is_open() const { return !identity_.empty(); }
  bool has_failed() const { return failure_.has_value(); }

  /// Whom the peer has proved to be: the subject of its certificate, as RFC 2253 writes it, or who
  /// has the pre-shared key. Empty before the handshake is complete.
  const std::string& identity() const { return identity_; }

  /// After the handshake: stores up to into.size() bytes and returns how many; 0 if the peer has
  /// said goodbye; nothing if more must come.
  std::optional<std::size_t> read(std::span<std::byte> into) {
    require_fine();
    std::size_t n = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(ssl_.get(), into.data(), into.size(), &n);
    const int code = SSL_get_error(ssl_.get(), result);
    may_have_more_ = result == 1;
    if (BIO_ctrl_pending(out_) > most_answers) fail(Reason::link_failed, "it asks for too much");
    if (result == 1 || code == SSL_ERROR_ZERO_RETURN) return n;
    if (code != SSL_ERROR_WANT_READ) fail();
    return std::nullopt;
  }
  /// Whether read would return bytes now. Throws, as read does, if the peer has said why it ends.
  bool has_data() {
    require_fine();
    std::byte next;
    std::size_t n = 0;
    ERR_clear_error();
    const int result = SSL_peek_ex(ssl_.get(), &next, 1, &n);
    if (result != 1 && SSL_get_error(ssl_.get(), result) == SSL_ERROR_SSL) fail();
    return result == 1;
  }
  /// Whether read may return something before more bytes come.
  bool may_have_more() const { return may_have_more_; }

  /// After the handshake: encrypts all bytes. They are not empty.
  void write(std::span<const std::byte> bytes) {
    require_fine();
    std::size_t n = 0;
    records_sent_ += (bytes.size() + largest_record - 1) / largest_record;
    ERR_clear_error();
    if (records_sent_ > context_.options().records_per_key) {
      records_sent_ = 0;
      if (SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_NOT_REQUESTED) != 1) fail();
    }
    if (SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &n) != 1) fail();
  }

  /// Says goodbye.
  void end() {
    if (is_open() && !has_failed()) SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }

  /// Takes the encrypted bytes that are to be sent, also after a failure: they say why.
  std::vector<std::byte> output() {
    std::vector<std::byte> bytes(BIO_ctrl_pending(out_));
    BIO_read(out_, bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
  }

 private:
  static constexpr std::size_t smallest_record = 1024, largest_record = 16384;  // bytes in it
  /// What reading may put into the output, such as alerts and changes of keys.
  static constexpr std::size_t most_answers = std::size_t{16} << 10;

  void require_fine() const {
    if (failure_) throw TransportError{*failure_};
  }
  [[noreturn]] void fail(Reason reason, const std::string& text) {
    failure_.emplace(reason, joined({"TLS with ", peer_, ": ", text}));
    require_fine();
    std::terminate();
  }
  [[noreturn]] void fail() {
    const auto [reason, text] = detail::problem_of(ERR_peek_error(), ssl_.get(), context_);
    ERR_clear_error();
    fail(reason, text);
  }
  /// Tells a client that does not speak TLS that this server does, by an alert (unexpected
  /// message).
  [[noreturn]] void refuse_plain_peer() {
    if (context_.role() == TlsRole::server)
      put(out_, std::as_bytes(std::span{"\x15\x03\x03\x00\x02\x02\x0A", 7}));
    fail(Reason::refused, "it does not use TLS");
  }

  static void put(BIO* to, std::span<const std::byte> bytes) {
    if (!bytes.empty() && BIO_write(to, bytes.data(), static_cast<int>(bytes.size())) < 0)
      throw std::bad_alloc{};
  }

  std::string find_identity() const {
    if (!context_.has_certificates())
      return SSL_session_reused(ssl_.get()) == 1 ? "holder of the pre-shared key" : "";
    const X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
    const std::unique_ptr<BIO, detail::Freed<BIO_free_all>> text{BIO_new(BIO_s_mem())};
    if (!text) throw std::bad_alloc{};
    X509_NAME_print_ex(text.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
    std::string name(BIO_ctrl_pending(text.get()), ' ');
    BIO_read(text.get(), name.data(), static_cast<int>(name.size()));
    return name;
  }

  TlsContext context_;
  std::string peer_;
  std::unique_ptr<SSL, detail::Freed<SSL_free>> ssl_;
  BIO* in_ = nullptr;   // of ssl_: what has come
  BIO* out_ = nullptr;  // of ssl_: what must be sent
  detail::TlsRecords records_;
  std::string identity_;
  std::uint64_t records_sent_ = 0;  // with the present key
  bool may_have_more_ = false;
  std::optional<TransportError> failure_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::transport
