// SPDX-License-Identifier: Apache-2.0
/// Every op on CUDA in bf16 against the CPU's op in f32 on the same rounded inputs. Bounds: 2⁻⁸
/// relative is one rounding of an output to bf16; sums in f32 agree far better.
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "dsr/core/bf16.hpp"
#include "dsr/core/buffer.hpp"
#include "dsr/core/transfer.hpp"
#include "dsr/ops/cross_entropy.hpp"
#include "dsr/ops/elementwise.hpp"
#include "dsr/ops/embedding.hpp"
#include "dsr/ops/norm.hpp"
#include "dsr/ops/optimize.hpp"
#include "support/catch.hpp"

namespace dsr {
namespace {

constexpr Device kCuda{Device::Kind::cuda, 0};
constexpr double kRounded = 4e-3, kSummed = 2e-5;

/// All work and all copies of this program, in one order.
Stream& cuda_stream() {
  static Stream stream{kCuda};
  return stream;
}

/// The same numbers on both devices: f32 on the CPU; on CUDA bf16, or f32 for statistics and
/// gradients.
class Pair {
 public:
  Pair(Shape const& shape, DType on_cuda, double scale, unsigned seed)
      : shape_(shape), type_(on_cuda) {
    std::mt19937 engine{seed};
    std::normal_distribution<float> normal;
    for (Size i = 0; i < shape.elements(); ++i) {
      float const x = static_cast<float>(scale) * normal(engine);
      host_.push_back(type_ == DType::bf16 ? static_cast<float>(Bf16{x}) : x);
    }
    device_ = Buffer{shape.elements() * size_of(type_), kCuda};
    upload();
  }

  Tensor cpu() { return {host_.data(), shape_, DType::f32, kCpu}; }
  Tensor cuda() const { return {device_.data(), shape_, type_, kCuda}; }

  std::vector<float> fetch() const {
    Stream& stream = cuda_stream();
    std::vector<float> out(host_.size());
    if (type_ == DType::bf16) {
      std::vector<Bf16> bits(host_.size());
      transfer(cuda(), {bits.data(), shape_, type_, kCpu}, stream);
      stream.synchronize();
      for (std::size_t i = 0; i < bits.size(); ++i) out[i] = static_cast<float>(bits[i]);
    } else {
      transfer(cuda(), {out.data(), shape_, type_, kCpu}, stream);
      stream.synchronize();
    }
    return out;
  }

  /// ‖cuda − cpu‖ / ‖cpu‖; NaN never passes.
  double error() const {
    auto const found = fetch();
    double difference = 0, norm = 1e-30;
    for (std::size_t i = 0; i < found.size(); ++i) {
      difference += std::pow(static_cast<double>(found[i]) - static_cast<double>(host_[i]), 2);
      norm += std::pow(static_cast<double>(host_[i]), 2);
    }
    return std::sqrt(difference / norm);
  }

 private:
  void upload() {
    Stream& stream = cuda_stream();
    if (type_ == DType::bf16) {
      std::vector<Bf16> bits(host_.begin(), host_.end());
      transfer({bits.data(), shape_, type_, kCpu}, cuda(), stream);
      stream.synchronize();
    } else {
      transfer({host_.data(), shape_, type_, kCpu}, cuda(), stream);
      stream.synchronize();
    }
  }

  Shape shape_;
  DType type_;
  std::vector<float> host_;
  Buffer device_;
};

Pair activations(Shape const& shape, unsigned seed, double scale = 1) {
  return {shape, DType::bf16, scale, seed};
}
Pair sums(Shape const& shape, unsigned seed, double scale = 1) {
  return {shape, DType::f32, scale, seed};
}

/// Integers on both devices.
struct Integers {
  explicit Integers(std::vector<std::int32_t> v)
      : values(std::move(v)), device(std::ssize(values) * 4, kCuda) {
    Stream& stream = cuda_stream();
    transfer(cpu(), cuda(), stream);
    stream.synchronize();
  }
  Tensor cpu() { return {values.data(), {std::ssize(values)}, DType::i32, kCpu}; }
  Tensor cuda() const { return {device.data(), {std::ssize(values)}, DType::i32, kCuda}; }
  std::vector<std::int32_t> values;
  Buffer device;
};

struct Streams {
  Stream cpu{kCpu};
  Stream& cuda = cuda_stream();
};

/// Rows of one warp, of several pieces, and of sizes that no vector divides.
std::vector<Shape> shapes() {
  return {{3, 8}, {37, 100}, {70, 129}, {300, 768}, {129, 2048}, {20, 5003}, {9, 12288}};
}

TEST_CASE("adding, biases and GELU") {
  for (Shape const& shape : shapes()) {
    INFO(to_string(shape));
    Streams s;
    Pair a = activations(shape, 1), b = activations(shape, 2), bias = activations({shape[1]}, 3),
         y = activations(shape, 4);
    Pair dbias = sums({shape[1]}, 5);
    add(a.cpu(), b.cpu(), y.cpu(), s.cpu);
    add(a.cuda(), b.cuda(), y.cuda(), s.cuda);
    CHECK(y.error() <= kRounded);
    add_bias_gradient(b.cpu(), dbias.cpu(), s.cpu);
    add_bias_gradient(b.cuda(), dbias.cuda(), s.cuda);
    CHECK(dbias.error() <= kSummed);
    gelu(a.cpu(), bias.cpu(), y.cpu(), s.cpu);
    gelu(a.cuda(), bias.cuda(), y.cuda(), s.cuda);
    CHECK(a.error() <= kRounded);
    CHECK(y.error() <= kRounded);
    Pair h = activations(shape, 6), dy = activations(shape, 7);
    gelu_backward(h.cpu(), dy.cpu(), dy.cpu(), dbias.cpu(), s.cpu);
    gelu_backward(h.cuda(), dy.cuda(), dy.cuda(), dbias.cuda(), s.cuda);
    CHECK(dy.error() <= kRounded);
    CHECK(dbias.error() <= 1e-4);
    add_bias(y.cpu(), bias.cpu(), s.cpu);
    add_bias(y.cuda(), bias.cuda(), s.cuda);
    CHECK(y.error() <= 2 * kRounded);
  }
}

TEST_CASE("norms, whole and in halves") {
  for (Shape const& shape : shapes()) {
    INFO(to_string(shape));
    Streams s;
    Size const rows = shape[0], features = shape[1];
    Pair sum = activations(shape, 1, 3), branch = activations(shape, 2), y = activations(shape, 3);
    Pair gamma = activations({features}, 4), beta = activations({features}, 5),
         statistics = sums({rows, 2}, 6);
    residual_norm(sum.cpu(), branch.cpu(), gamma.cpu(), beta.cpu(), 1e-5, statistics.cpu(), y.cpu(),
                  s.cpu);
    residual_norm(sum.cuda(), branch.cuda(), gamma.cuda(), beta.cuda(), 1e-5, statistics.cuda(),
                  y.cuda(), s.cuda);
    CHECK(branch.error() <= kRounded);
    CHECK(statistics.error() <= 5e-3);
    CHECK(y.error() <= 2 * kRounded);

    Pair x = activations(shape, 7), moments = sums({rows, 2}, 8);
    residual_moments({}, x.cpu(), moments.cpu(), s.cpu);
    residual_moments({}, x.cuda(), moments.cuda(), s.cuda);
    CHECK(moments.error() <= kSummed);
    merge_moments(moments.cpu().reshape({1, rows, 2}), features, 1e-5, statistics.cpu(), s.cpu);
    merge_moments(moments.cuda().reshape({1, rows, 2}), features, 1e-5, statistics.cuda(), s.cuda);
    CHECK(statistics.error() <= kSummed);
    normalize(x.cpu(), statistics.cpu(), gamma.cpu(), beta.cpu(), y.cpu(), s.cpu);
    normalize(x.cuda(), statistics.cuda(), gamma.cuda(), beta.cuda(), y.cuda(), s.cuda);
    CHECK(y.error() <= kRounded);

    Pair dy = activations(shape, 9), residual = activations(shape, 10),
         row_sums = sums({rows, 2}, 11);
    Pair dgamma = sums({features}, 12), dbeta = sums({features}, 13);
    norm_backward_sums(dy.cpu(), x.cpu(), statistics.cpu(), gamma.cpu(), row_sums.cpu(),
                       dgamma.cpu(), dbeta.cpu(), s.cpu);
    norm_backward_sums(dy.cuda(), x.cuda(), statistics.cuda(), gamma.cuda(), row_sums.cuda(),
                       dgamma.cuda(), dbeta.cuda(), s.cuda);
    CHECK(row_sums.error() <= 1e-4);
    CHECK(dgamma.error() <= 1e-4);
    CHECK(dbeta.error() <= 1e-4);
    norm_backward(dy.cpu(), x.cpu(), statistics.cpu(), gamma.cpu(), row_sums.cpu(), features,
                  residual.cpu(), residual.cpu(), s.cpu);
    norm_backward(dy.cuda(), x.cuda(), statistics.cuda(), gamma.cuda(), row_sums.cuda(), features,
                  residual.cuda(), residual.cuda(), s.cuda);
    CHECK(residual.error() <= kRounded);
  }
}

TEST_CASE("the norm's backward in one pass, in place and without a residual") {
  for (Shape const& shape : shapes()) {
    INFO(to_string(shape));
    Streams s;
    Size const rows = shape[0], features = shape[1];
    Pair x = activations(shape, 1), gamma = activations({features}, 2), dx = activations(shape, 3);
    Pair moments = sums({rows, 2}, 4), statistics = sums({rows, 2}, 5);
    residual_moments({}, x.cpu(), moments.cpu(), s.cpu);
    merge_moments(moments.cpu().reshape({1, rows, 2}), features, 1e-5, statistics.cpu(), s.cpu);
    transfer(statistics.cpu(), statistics.cuda(), s.cuda);
    Pair dy = activations(shape, 6), residual = activations(shape, 7);
    Pair dgamma = sums({features}, 8), dbeta = sums({features}, 9);
    residual_norm_backward(dy.cpu(), x.cpu(), statistics.cpu(), gamma.cpu(), {}, dx.cpu(),
                           dgamma.cpu(), {}, s.cpu);
    residual_norm_backward(dy.cuda(), x.cuda(), statistics.cuda(), gamma.cuda(), {}, dx.cuda(),
                           dgamma.cuda(), {}, s.cuda);
    CHECK(dx.error() <= kRounded);
    residual_norm_backward(dy.cpu(), x.cpu(), statistics.cpu(), gamma.cpu(), residual.cpu(),
                           residual.cpu(), dgamma.cpu(), dbeta.cpu(), s.cpu);
    residual_norm_backward(dy.cuda(), x.cuda(), statistics.cuda(), gamma.cuda(), residual.cuda(),
                           residual.cuda(), dgamma.cuda(), dbeta.cuda(), s.cuda);
    CHECK(residual.error() <= kRounded);
    CHECK(dgamma.error() <= 1e-4);
    CHECK(dbeta.error() <= 1e-4);
  }
}

TEST_CASE("moments of several parts merge") {
  Streams s;
  Pair gathered = sums({3, 50, 2}, 1), statistics = sums({50, 2}, 2);
  for (Size i = 1; i < 300; i += 2)
    gathered.cpu().data<float>()[i] = std::abs(gathered.cpu().data<float>()[i]) * 100;
  transfer(gathered.cpu(), gathered.cuda(), s.cuda);
  merge_moments(gathered.cpu(), 64, 1e-5, statistics.cpu(), s.cpu);
  merge_moments(gathered.cuda(), 64, 1e-5, statistics.cuda(), s.cuda);
  CHECK(statistics.error() <= kSummed);
}

TEST_CASE("embedding and its backward, in blocks, with rows elsewhere and padding") {
  for (Size parts : {1, 3}) {
    for (Size hidden : {48, 384, 51}) {
      Streams s;
      Size const tokens = 500, table_rows = 40, first = 13;
      std::vector<std::int32_t> ids;
      std::mt19937 engine{5};
      for (Size t = 0; t < tokens; ++t)
        ids.push_back(t % 50 == 7 ? -1 : static_cast<std::int32_t>(engine() % 60));
      Integers numbers{ids};
      Pair table = activations({table_rows, hidden}, 1),
           out = activations({parts, tokens, hidden / parts}, 2);
      Pair dtable = sums({table_rows, hidden}, 3);
      embedding(numbers.cpu(), table.cpu(), first, out.cpu(), s.cpu);
      embedding(numbers.cuda(), table.cuda(), first, out.cuda(), s.cuda);
      CHECK(out.error() <= kRounded);
      Pair dx = activations({parts, tokens, hidden / parts}, 4);
      embedding_backward(numbers.cpu(), first, dx.cpu(), dtable.cpu(), s.cpu);
      embedding_backward(numbers.cuda(), first, dx.cuda(), dtable.cuda(), s.cuda);
      CHECK(dtable.error() <= kSummed);
    }
  }
}

TEST_CASE("cross entropy with padded and foreign columns") {
  for (Size columns : {8, 97, 264, 50304}) {
    INFO(columns);
    Streams s;
    Size const rows = 21, valid = columns - columns / 8, first = 5;
    std::vector<std::int32_t> list;
    for (Size r = 0; r < rows; ++r)
      list.push_back(r % 5 == 2 ? -1 : static_cast<std::int32_t>(r * 37 % columns));
    Integers targets{list};
    Pair logits = activations({rows, columns}, 1, 2), top = sums({rows}, 2),
         total = sums({rows, 2}, 3);
    logits_max(logits.cpu(), valid, top.cpu(), s.cpu);
    logits_max(logits.cuda(), valid, top.cuda(), s.cuda);
    CHECK(top.error() == 0);
    logits_exp(logits.cpu(), valid, top.cpu(), targets.cpu(), first, total.cpu(), s.cpu);
    logits_exp(logits.cuda(), valid, top.cuda(), targets.cuda(), first, total.cuda(), s.cuda);
    CHECK(total.error() <= kSummed);
    double loss = 0;
    Buffer device_loss{8, kCuda};
    Tensor const on_cuda{device_loss.data(), {1}, DType::f64, kCuda},
        on_cpu{&loss, {1}, DType::f64, kCpu};
    add_cross_entropy(total.cpu(), targets.cpu(), on_cpu, s.cpu);
    zero(on_cuda, s.cuda);
    add_cross_entropy(total.cuda(), targets.cuda(), on_cuda, s.cuda);
    double found = 0;
    transfer(on_cuda, {&found, {1}, DType::f64, kCpu}, s.cuda);
    s.cuda.synchronize();
    CHECK(found == test::Approx(loss).epsilon(1e-5));
    logits_gradient(logits.cpu(), valid, total.cpu(), targets.cpu(), first, s.cpu);
    logits_gradient(logits.cuda(), valid, total.cuda(), targets.cuda(), first, s.cuda);
    CHECK(logits.error() <= 2 * kRounded);
  }
}

TEST_CASE("cross entropy of whole rows in one pass") {
  for (Size columns : {8, 97, 264, 5003, 50304}) {
    for (Size valid : {columns, columns - columns / 8}) {
      INFO(columns << " columns, " << valid << " of them valid");
      Streams s;
      Size const rows = 300;
      std::vector<std::int32_t> list;
      for (Size r = 0; r < rows; ++r)
        list.push_back(r % 5 == 2 ? -1 : static_cast<std::int32_t>(r * 37 % valid));
      Integers targets{list};
      Pair logits = activations({rows, columns}, 1, 3), total = sums({rows, 2}, 2);
      double loss = 1.5, found = 0;
      Buffer device_loss{8, kCuda};
      Tensor const on_cuda{device_loss.data(), {1}, DType::f64, kCuda},
          on_cpu{&loss, {1}, DType::f64, kCpu};
      transfer(on_cpu, on_cuda, s.cuda);
      s.cuda.synchronize();
      cross_entropy(logits.cpu(), valid, targets.cpu(), total.cpu(), on_cpu, s.cpu);
      cross_entropy(logits.cuda(), valid, targets.cuda(), total.cuda(), on_cuda, s.cuda);
      transfer(on_cuda, {&found, {1}, DType::f64, kCpu}, s.cuda);
      s.cuda.synchronize();
      CHECK(found == test::Approx(loss).epsilon(1e-5));
      CHECK(logits.error() <= kRounded);
    }
  }
}

TEST_CASE("dropout keeps the same elements as on the CPU") {
  for (Size features : {8, 101, 768}) {
    Streams s;
    Size const rows = 33;
    std::vector<std::int32_t> ordinals, positions;
    for (std::int32_t r = 0; r < rows; ++r) {
      ordinals.push_back(r / 7);
      positions.push_back(r % 7);
    }
    Integers o{ordinals}, p{positions};
    Pair x = activations({rows, features}, 1), out = activations({rows, features}, 2);
    DropoutMask mask;
    mask.probability = 0.3;
    mask.key = random_key(3, RandomPurpose::dropout, 1, 2);
    mask.first_feature = 6;
    mask.ordinals = o.cpu();
    mask.positions = p.cpu();
    dropout(x.cpu(), mask, out.cpu(), s.cpu);
    mask.ordinals = o.cuda();
    mask.positions = p.cuda();
    dropout(x.cuda(), mask, out.cuda(), s.cuda);
    CHECK(out.error() <= kRounded);
    auto const found = out.fetch();
    for (std::size_t i = 0; i < found.size(); ++i)
      REQUIRE((found[i] == 0) == (out.cpu().data<float>()[i] == 0));
  }
}

TEST_CASE("the optimizer's passes") {
  for (Size n : {1, 1023, 200'000}) {
    Streams s;
    Pair w = sums({n}, 1), g = sums({n}, 2), m = sums({n}, 3, 0.1), v = sums({n}, 4, 0.1);
    for (Size i = 0; i < n; ++i) v.cpu().data<float>()[i] = std::abs(v.cpu().data<float>()[i]);
    transfer(v.cpu(), v.cuda(), s.cuda);
    Pair rounded = activations({n}, 5);
    double total = 1;
    Buffer on_device{8, kCuda};
    Tensor const host{&total, {1}, DType::f64, kCpu},
        device{on_device.data(), {1}, DType::f64, kCuda};
    transfer(host, device, s.cuda);
    s.cuda.synchronize();
    add_sum_of_squares(g.cpu(), host, s.cpu);
    add_sum_of_squares(g.cuda(), device, s.cuda);
    double found = 0;
    transfer(device, {&found, {1}, DType::f64, kCpu}, s.cuda);
    s.cuda.synchronize();
    CHECK(found == test::Approx(total).epsilon(1e-12));
    AdamWStep const step{.lr = 1e-2, .weight_decay = 0.1, .gradient_scale = 0.5, .number = 3};
    adamw(w.cpu(), g.cpu(), m.cpu(), v.cpu(), step, {}, s.cpu);
    adamw(w.cuda(), g.cuda(), m.cuda(), v.cuda(), step, rounded.cuda(), s.cuda);
    for (Pair* p : {&w, &m, &v}) CHECK(p->error() <= 1e-6);
    auto const values = w.fetch(), copies = rounded.fetch();
    for (std::size_t i = 0; i < values.size(); ++i)
      REQUIRE(copies[i] == static_cast<float>(Bf16{values[i]}));
  }
}

TEST_CASE("the same call gives the same bits twice") {
  Streams s;
  Shape const shape{1000, 768};
  Pair dy = activations(shape, 1), x = activations(shape, 2), statistics = sums({1000, 2}, 3);
  Pair gamma = activations({768}, 4), row_sums = sums({1000, 2}, 5);
  std::vector<std::vector<float>> runs;
  for (int i = 0; i < 2; ++i) {
    Pair dgamma = sums({768}, 6), dbeta = sums({768}, 7);
    norm_backward_sums(dy.cuda(), x.cuda(), statistics.cuda(), gamma.cuda(), row_sums.cuda(),
                       dgamma.cuda(), dbeta.cuda(), s.cuda);
    s.cuda.synchronize();
    runs.push_back(dgamma.fetch());
  }
  CHECK(runs[0] == runs[1]);
}

}  // namespace
}  // namespace dsr
