// SPDX-License-Identifier: MIT
// Single operations, and a transformer block, against PyTorch. Cases are told apart by the tensors
// that they have.

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/ops/arithmetic.hpp>
#include <splitvit/autograd/ops/cross_entropy.hpp>
#include <splitvit/autograd/ops/softmax.hpp>
#include <splitvit/kernel/compute.hpp>
#include <splitvit/nn/block.hpp>
#include <splitvit/nn/vit.hpp>

#include "golden/cases.hpp"
#include "support/catch.hpp"

namespace splitvit {
namespace {

/// One case of a file. It remembers what a test has looked at, so that nothing is overlooked.
template <class T>
class OpsCase {
 public:
  OpsCase(const golden::File& file, std::string name)
      : tolerance{golden::tolerance<T>()}, file_{&file}, name_{std::move(name)} {}

  golden::Tolerance tolerance;
  Compute compute = Compute::float32;  ///< of layers that know it

  const std::string& name() const { return name_; }
  bool has(const std::string& tensor) const { return file_->has(at(tensor)); }
  const Shape& shape(const std::string& tensor) const { return file_->shape(at(tensor)); }

  Tensor<T> get(const std::string& tensor) { return file_->get<T>(see(tensor)); }
  Variable<T> leaf(const std::string& tensor) { return Variable<T>::parameter(get(tensor)); }
  double real(const std::string& tensor) { return file_->real(see(tensor)); }
  Index integer(const std::string& tensor) { return file_->integer(see(tensor)); }
  std::vector<Index> indices(const std::string& tensor) { return file_->indices(see(tensor)); }

  void agrees(const std::string& tensor, const Tensor<T>& ours) {
    CHECK(file_->compare(see(tensor), ours, tolerance) == "");
  }
  /// Sends the gradient from above, "gy", through `y`, and compares y.
  void check_and_pull(const Variable<T>& y) {
    agrees("y", y.value());
    backward(y, get("gy"));
  }
  void check_all_seen() const {
    for (const std::string& tensor : file_->names())
      if (tensor.starts_with(name_ + "/") && !seen_.contains(tensor))
        FAIL_CHECK(file_->name() << ": no test looks at " << tensor);
  }

 private:
  std::string at(const std::string& tensor) const { return name_ + "/" + tensor; }
  std::string see(const std::string& tensor) { return *seen_.insert(at(tensor)).first; }

  const golden::File* file_;
  std::string name_;
  std::set<std::string> seen_;
};

template <class T>
double largest(const Tensor<T>& x) {
  double most = 0;
  for (const T v : x.span()) most = std::max(most, std::abs(static_cast<double>(v)));
  return most;
}

template <class T>
void check_linear(OpsCase<T>& c) {
  const auto x = c.leaf("x"), weight = c.leaf("weight");
  const auto bias = c.has("bias") ? c.leaf("bias") : Variable<T>{};
  kernel::with_stored<T>(
      c.compute, [&]<class Stored>() { c.check_and_pull(linear<T, Stored>(x, weight, bias)); });
  c.agrees("gx", x.gradient());
  c.agrees("gweight", weight.gradient());
  if (bias.defined()) c.agrees("gbias", bias.gradient());
}

/// Whether a row is so even for its size that its deviation has lost digits.
template <class T>
bool has_even_rows(const Tensor<T>& x) {
  const Index D = x.shape().back();
  for (Index i = 0; i < x.shape().rows(); ++i) {
    const T* row = x.data() + i * D;
    const auto [low, high] = std::minmax_element(row, row + D);
    if (*high - *low < T(0.02) * std::max(std::abs(*low), std::abs(*high))) return true;
  }
  return false;
}

template <class T>
void check_layer_norm(OpsCase<T>& c) {
  const auto x = c.leaf("x"), weight = c.leaf("weight"), bias = c.leaf("bias");
  if (has_even_rows(x.value()))
    c.tolerance = {.rtol = std::same_as<T, double> ? 1e-9 : 1e-3, .per_row = true};
  c.check_and_pull(layer_norm(x, weight, bias, static_cast<T>(c.real("eps"))));
  c.agrees("gx", x.gradient());
  c.agrees("gweight", weight.gradient());
  c.agrees("gbias", bias.gradient());
}

template <class T>
void check_gelu(OpsCase<T>& c) {
  const auto x = c.leaf("x");
  c.check_and_pull(gelu(x));
  c.agrees("gx", x.gradient());
}

template <class T>
void check_softmax(OpsCase<T>& c) {
  const auto x = c.leaf("x");
  // exp multiplies the rounding of a number by the number itself
  if (std::same_as<T, float> && largest(x.value()) > 30) c.tolerance.rtol = 2e-5;
  c.check_and_pull(softmax(x));
  c.agrees("gx", x.gradient());
}

/// A block of x, whose last axis is the columns.
template <class T>
Variable<T> part_of(const Tensor<T>& x, Index first_row, Index rows, Index first, Index cols) {
  Tensor<T> out{{rows, cols}};
  for (Index i = 0; i < rows; ++i)
    std::copy_n(x.data() + (first_row + i) * x.shape().back() + first, cols, out.data() + i * cols);
  return Variable<T>{std::move(out)};
}

/// softmax(q k^T / sqrt d) of each head, (B, H, N, N).
template <class T>
Tensor<T> probabilities(const Tensor<T>& qkv, Index H) {
  const Index B = qkv.dim(0), N = qkv.dim(1), D = qkv.dim(2) / 3, d = D / H;
  Tensor<T> out{{B, H, N, N}};
  for (Index b = 0; b < B; ++b)
    for (Index h = 0; h < H; ++h) {
      const auto scores =
          linear(part_of(qkv, b * N, N, h * d, d), part_of(qkv, b * N, N, D + h * d, d));  // q k^T
      const auto p = softmax(scale(scores, T{1} / std::sqrt(static_cast<T>(d))));
      std::ranges::copy(p.value().span(), out.data() + (b * H + h) * N * N);
    }
  return out;
}

template <class T>
void check_attention(OpsCase<T>& c) {
  const auto x = c.leaf("x");
  nn::Attention<T> attn{x.dim(2), c.integer("heads")};
  attn.qkv.weight = c.leaf("qkv_weight");
  attn.qkv.bias = c.leaf("qkv_bias");
  attn.proj.weight = c.leaf("proj_weight");
  attn.proj.bias = c.leaf("proj_bias");
  c.agrees("probabilities", probabilities(attn.qkv(x).value(), attn.heads));
  const auto out = attn(x, NeedWeights::cls);
  c.agrees("cls_attn", out.cls_attention);
  c.check_and_pull(out.y);
  c.agrees("gx", x.gradient());
  c.agrees("gqkv_weight", attn.qkv.weight.gradient());
  c.agrees("gqkv_bias", attn.qkv.bias.gradient());
  c.agrees("gproj_weight", attn.proj.weight.gradient());
  c.agrees("gproj_bias", attn.proj.bias.gradient());
}

template <class T>
void check_patch_embed(OpsCase<T>& c) {
  const auto x = c.leaf("x"), weight = c.leaf("weight"), bias = c.leaf("bias");
  kernel::with_stored<T>(c.compute, [&]<class Stored>() {
    c.check_and_pull(patch_embed<T, Stored>(x, weight, bias));
  });
  c.agrees("gx", x.gradient());
  c.agrees("gweight", weight.gradient());
  c.agrees("gbias", bias.gradient());
}

template <class T>
void check_tokens(OpsCase<T>& c) {
  const auto x = c.leaf("x"), cls = c.leaf("cls_token"), positions = c.leaf("pos_embed");
  c.check_and_pull(with_cls_token(x, cls, positions));
  c.agrees("gx", x.gradient());
  c.agrees("gcls_token", cls.gradient());
  c.agrees("gpos_embed", positions.gradient());
}

template <class T>
void check_block(OpsCase<T>& c) {
  const auto x = c.leaf("x");
  nn::Block<T> block{x.dim(2), c.integer("heads"), c.shape("mlp.fc1.weight")[0]};
  block.use(c.compute);
  for (const auto& [name, parameter] : nn::parameters<T>(block))
    parameter.mutable_value() = c.get(name);
  c.check_and_pull(block(x).y);
  c.agrees("gx", x.gradient());
  for (const auto& [name, parameter] : nn::parameters<T>(block))
    c.agrees("grad." + name, parameter.gradient());
}

template <class T>
void check_cross_entropy(OpsCase<T>& c) {
  const auto logits = c.leaf("logits");
  const bool soft = c.shape("target").rank() == 2;
  const std::vector<Index> ids = soft ? std::vector<Index>{} : c.indices("target");
  const auto loss = soft ? cross_entropy(logits, c.get("target"))
                         : cross_entropy(logits, std::span<const Index>{ids});
  c.agrees("loss", loss.value());
  backward(loss);
  c.agrees("glogits", logits.gradient());
}

template <class T>
void check(OpsCase<T>& c) {
  const std::string kind = golden::kind_of(c.name(), {"gelu", "softmax"});
  if (c.has("qkv_weight"))
    check_attention(c);
  else if (c.has("norm1.weight"))
    check_block(c);
  else if (c.has("cls_token"))
    check_tokens(c);
  else if (c.has("logits"))
    check_cross_entropy(c);
  else if (c.has("weight") && c.has("eps"))
    check_layer_norm(c);
  else if (c.has("weight") && c.shape("weight").rank() == 4)
    check_patch_embed(c);
  else if (c.has("weight"))
    check_linear(c);
  else if (kind == "gelu")
    check_gelu(c);
  else if (kind == "softmax")
    check_softmax(c);
  else
    FAIL_CHECK("no test knows this kind of case");
  c.check_all_seen();
}

}  // namespace

TEMPLATE_TEST_CASE("golden: operations", "[golden][ops]", double, float) {
  golden::each_case<TestType>("ops", [](const golden::Case<TestType>& own) {
    if (own.has("p0.init")) return false;  // an optimiser: optim_test.cpp
    OpsCase<TestType> c{own.file, own.name};
    check(c);
    return true;
  });
}

TEST_CASE("golden: operations with products of bfloat16", "[golden][ops]") {
  if (!kernel::has_brain_unit) return;
  // Both factors of a term are off by 0.0016 of themselves (root mean square) and at most by 2^-8,
  // each on its own. A sum of K terms is then off by 0.0023 of the root of the sum of their
  // squares, which is about the size of the sum: the same for any K. Four times that is 2^-6.8,
  // allowed beside the largest of all sums. A block has up to ten products in a row, so the root of
  // ten times as much.
  constexpr double product = 0x1p-7, block = 0x1p-5;
  int seen = 0;
  golden::each_case<float>("ops", [&](const golden::Case<float>& own) {
    if (own.has("p0.init")) return false;
    OpsCase<float> c{own.file, own.name};
    c.compute = Compute::bf16;
    const bool is_block = c.has("norm1.weight");
    c.tolerance = {.rtol = is_block ? block : product, .atol = 1e-6};
    if (is_block)
      check_block(c);
    else if (c.has("weight") && !c.has("eps"))
      c.shape("weight").rank() == 4 ? check_patch_embed(c) : check_linear(c);
    else
      return false;
    ++seen;
    return true;
  });
  CHECK(seen >= 3);
}

}  // namespace splitvit
