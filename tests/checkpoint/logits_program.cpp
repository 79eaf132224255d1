// SPDX-License-Identifier: Apache-2.0
/// Prints what dsr's Gpt says after each token of a text, with the weights of a committed set:
///
///     logits_program <set> <layers> <hidden> <heads> <ffn> <vocabulary> <sequence> <tied|own> <token>…
///
/// One line of logits for each token, with all digits that a float has. One rank.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <dsr/dsr.hpp>
#include <span>
#include <string>
#include <vector>

namespace {

/// Fills each parameter from the set.
class FromSet : public dsr::Visitor {
 public:
  explicit FromSet(std::string directory)
      : directory_(std::move(directory)),
        manifest_(dsr::read_manifest(dsr::system_files(), directory_)) {}

 protected:
  void on_parameter(std::string const& path, dsr::Parameter& parameter) override {
    auto const stored =
        std::ranges::find(manifest_.tensors, "model/" + path, &dsr::StoredTensor::name);
    if (stored == manifest_.tensors.end()) throw dsr::CorruptData("no " + path);
    std::vector<dsr::Size> const zeros(static_cast<std::size_t>(stored->shape.rank()));
    dsr::Tensor const value = parameter.value();
    std::span const memory{value.data<float>(), static_cast<std::size_t>(value.elements())};
    read_part(dsr::system_files(), directory_, manifest_, *stored,
              {dsr::Shape{std::span<dsr::Size const>{zeros}}, stored->shape},
              std::as_writable_bytes(memory));
  }

 private:
  std::string directory_;
  dsr::Manifest manifest_;
};

struct Text {
  explicit Text(std::vector<std::int32_t> const& all)
      : tokens(all), targets(all.size(), -1), positions(all.size()), ordinals(all.size()) {
    for (std::size_t i = 0; i < all.size(); ++i) positions[i] = static_cast<std::int32_t>(i);
    starts = {0, static_cast<std::int32_t>(all.size())};
  }
  dsr::Batch batch() {
    auto const view = [](std::vector<std::int32_t>& values) {
      return dsr::Tensor{values.data(), {std::ssize(values)}, dsr::DType::i32, dsr::kCpu};
    };
    return {.tokens = view(tokens),
            .targets = view(targets),
            .positions = view(positions),
            .ordinals = view(ordinals),
            .sequence_starts = view(starts),
            .counted = 0};
  }
  std::vector<std::int32_t> tokens, targets, positions, ordinals, starts;
};

}  // namespace

int main(int argc, char** argv) {
  dsr::Runtime runtime{argc, argv};
  auto const number = [&](int i) { return static_cast<dsr::Size>(std::stoll(argv[i])); };
  bool const tied = std::string{argv[8]} == "tied";
  dsr::Mesh const mesh{runtime, {.dp = 1}};
  dsr::Gpt model{{.layers = number(2),
                  .hidden = number(3),
                  .heads = number(4),
                  .ffn = number(5),
                  .vocabulary = number(6),
                  .sequence = number(7),
                  .head = tied ? dsr::HeadWeight::tied : dsr::HeadWeight::own},
                 mesh};
  dsr::Parameters const parameters{model, mesh, {}};
  FromSet loader{argv[1]};
  model.visit(loader);

  std::vector<std::int32_t> tokens;
  for (int i = 9; i < argc; ++i) tokens.push_back(static_cast<std::int32_t>(number(i)));
  Text text{tokens};
  dsr::Stream compute{dsr::kCpu}, exchange{dsr::kCpu};
  dsr::Pass pass{
      mesh, compute, exchange, measure(model, mesh, 1, std::ssize(tokens), {}).arenas, {}};
  std::vector<float> logits(static_cast<std::size_t>(number(6)));
  dsr::Tensor const out{logits.data(), {number(6)}, dsr::DType::f32, dsr::kCpu};
  for (dsr::Size row = 0; row < std::ssize(tokens); ++row) {
    pass.begin(text.batch(), dsr::Mode::evaluate, 0);
    model.logits(pass, row, out);
    for (float const logit : logits) std::printf("%.9g ", static_cast<double>(logit));
    std::printf("\n");
  }
}
