// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "dsr/core/error.hpp"
#include "dsr/model/gpt.hpp"

namespace dsr {

namespace {

struct Divisibility {
  std::string equation;
  Size remainder;
};

/// What a mesh must divide, as equations with the numbers in them.
std::vector<Divisibility> requirements(GptConfig const& config, MeshShape const& mesh) {
  auto const equation = [](char const* what, Size size, char const* parts_name, Size parts) {
    Size const remainder = size % parts;
    return Divisibility{std::string(what) + " % " + parts_name + " = " + std::to_string(size) +
                            " % " + std::to_string(parts) + " = " + std::to_string(remainder),
                        remainder};
  };
  Size const both = mesh.size(kModelAxes);
  // Key-value groups are what the mesh deals out; where each head has its own they are the heads.
  char const* const units =
      config.groups_or_heads() == config.heads ? "model.heads" : "model.groups";
  return {equation(units, config.groups_or_heads(), "(row·col)", both),
          equation("model.ffn", config.inner(), "(row·col)", both),
          equation("model.hidden", config.hidden, "col", mesh.col)};
}

bool fits(GptConfig const& config, MeshShape const& mesh) {
  return std::ranges::all_of(requirements(config, mesh),
                             [](auto const& r) { return r.remainder == 0; });
}

/// Meshes of the same number of ranks that fit, the most similar first.
std::string nearest_shapes(GptConfig const& config, MeshShape const& mesh) {
  std::vector<std::pair<double, MeshShape>> found;
  int const ranks = mesh.ranks();
  auto const distance = [](int a, int b) { return std::abs(std::log(static_cast<double>(a) / b)); };
  for (int row = 1; row <= ranks; ++row) {
    for (int col = 1; row * col <= ranks; ++col) {
      if (ranks % (row * col) != 0) continue;
      MeshShape const shape{.dp = ranks / (row * col), .row = row, .col = col};
      if (!fits(config, shape)) continue;
      found.emplace_back(
          distance(row, mesh.row) + distance(col, mesh.col) + distance(shape.dp, mesh.dp), shape);
    }
  }
  std::ranges::stable_sort(found, {}, [](auto const& entry) { return entry.first; });
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(3, found.size()); ++i) {
    text += (i == 0 ? "" : ", or ") + to_string(found[i].second);
  }
  return text;
}

}  // namespace

void GptConfig::validate() const {
  std::string problems;
  auto const add = [&](std::string const& text) {
    problems += (problems.empty() ? "" : "\n") + text;
  };
  auto const at_least_one = [&](char const* key, Size value) {
    if (value < 1) add(problem(key, std::to_string(value), "at least 1"));
  };
  at_least_one("model.layers", layers);
  at_least_one("model.hidden", hidden);
  at_least_one("model.heads", heads);
  at_least_one("model.groups", groups_or_heads());
  at_least_one("model.ffn", inner());
  at_least_one("model.vocab", vocabulary);
  at_least_one("model.sequence", sequence);
  auto const divides = [&](char const* key, char const* equation, Size a, Size b,
                           char const* name) {
    if (a < 1 || b < 1 || a % b == 0) return;
    add(problem(key,
                std::string(equation) + " = " + std::to_string(a) + " % " + std::to_string(b) +
                    " = " + std::to_string(a % b),
                "0", std::string(name) + " = " + std::to_string(round_up(a, b))));
  };
  divides("model.heads", "hidden % heads", hidden, heads, "hidden");
  divides("model.groups", "heads % groups", heads, groups_or_heads(), "heads");
  if (!problems.empty()) throw InvalidArgument(problems);
}

void GptConfig::validate(MeshShape const& mesh) const {
  validate();
  std::string problems;
  for (Divisibility const& requirement : requirements(*this, mesh)) {
    if (requirement.remainder != 0)
      problems += (problems.empty() ? "" : ", ") + requirement.equation;
  }
  if (!problems.empty()) {
    throw InvalidArgument(
        problem("mesh " + to_string(mesh), problems, "0", nearest_shapes(*this, mesh)));
  }
}

Size largest_head_size(int capability) {
  constexpr int kHopper = 9;
  return capability == 0 || capability / 10 == kHopper ? 256 : 128;
}

namespace {

constexpr Size kHeadUnit = 8;

/// The number of heads nearest to `heads` whose size cuDNN takes, fewer before more; hidden is a
/// multiple of kHeadUnit, so there is one.
Size nearest_heads(Size hidden, Size heads, Size largest) {
  auto const works = [&](Size number) {
    return number >= 1 && hidden % (number * kHeadUnit) == 0 && hidden / number <= largest;
  };
  for (Size away = 0; away < hidden; ++away) {
    if (works(heads - away)) return heads - away;
    if (works(heads + away)) return heads + away;
  }
  return hidden / kHeadUnit;
}

std::string nearest_head_size(Size hidden, Size heads, Size largest) {
  if (hidden % kHeadUnit == 0)
    return "heads = " + std::to_string(nearest_heads(hidden, heads, largest));
  Size const larger = round_up(hidden, kHeadUnit * heads);
  if (larger / heads <= largest) return "hidden = " + std::to_string(larger);
  Size const whole = round_up(hidden, kHeadUnit);
  return "hidden = " + std::to_string(whole) +
         " and heads = " + std::to_string(nearest_heads(whole, heads, largest));
}

}  // namespace

void GptConfig::validate_on_cuda(Size largest) const {
  if (heads < 1 || hidden % heads != 0) return;  // validate() says so
  Size const size = hidden / heads;
  if (size % kHeadUnit == 0 && size <= largest) return;
  throw InvalidArgument(problem(
      "model.heads",
      "head size hidden / heads = " + std::to_string(hidden) + " / " + std::to_string(heads) +
          " = " + std::to_string(hidden / heads) + " on cuda",
      "head sizes that are multiples of 8 up to " + std::to_string(largest) + ", which cuDNN takes",
      nearest_head_size(hidden, heads, largest)));
}

GptConfig gpt2_124m() {
  return {.layers = 12, .hidden = 768, .heads = 12, .vocabulary = 50304, .sequence = 1024};
}

GptConfig gpt_1_3b() {
  return {.layers = 24, .hidden = 2048, .heads = 16, .vocabulary = 50304, .sequence = 2048};
}

}  // namespace dsr
