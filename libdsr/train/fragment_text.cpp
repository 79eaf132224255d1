// SPDX-License-Identifier: Apache-2.0
#include "libdsr/train/fragment_text.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>
#include <sstream>

#include "dsr/checkpoint/hash.hpp"
#include "dsr/core/version.hpp"

namespace dsr {
namespace {

/// "0-2, 5" of ascending numbers.
std::string ranges_of(std::vector<int> const& numbers) {
  std::string text;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    std::size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    if (!text.empty()) text += ", ";
    text += std::to_string(numbers[i]);
    if (last > i) text += '-' + std::to_string(numbers[last]);
    i = last;
  }
  return text;
}

}  // namespace

std::string hash_of_settings(Trainer& trainer, std::string_view more) {
  PassOptions const& pass = trainer.options().pass;
  LoaderOptions const& batch = trainer.loader().options();
  std::ostringstream text;
  text << version() << ' ' << static_cast<int>(trainer.compute().device().kind) << ' '
       << name_of(pass.dtype) << ' ' << static_cast<int>(pass.regather) << ' '
       << static_cast<int>(pass.recompute) << ' ' << pass.seed << ' '
       << std::bit_cast<std::uint64_t>(pass.dropout) << ' ' << batch.batch << ' '
       << batch.micro_batch << ' ' << batch.sequence << ' ' << batch.seed << ' '
       << static_cast<int>(batch.order) << '\n';
  for (ParameterPlace const& place : trainer.parameters().all()) {
    text << place.parameter->name() << ' ' << place.flat << ' ' << place.range.begin << ' '
         << place.range.end << '\n';
  }
  text << more;
  std::string const whole = text.str();
  return hash_text(std::as_bytes(std::span{whole}));
}

std::string_view mismatch(FragmentHeader const& found, FragmentHeader const& wanted) {
  if (found.base != wanted.base || found.step != wanted.step || found.run_id != wanted.run_id)
    return "its fragments belong to another set";
  if (found.mesh != wanted.mesh || found.rank != wanted.rank)
    return "its fragments are of another mesh";
  if (found.settings != wanted.settings || found.of != wanted.of || found.bytes != wanted.bytes)
    return "its fragments are of other settings";
  if (found.cursor != wanted.cursor) return "its fragments are of other data";
  return {};
}

std::string to_text(std::vector<FragmentMoment> const& moments) {
  std::string text;
  for (FragmentMoment const& moment : moments) {
    text += std::to_string(moment.micro_batches) + '.' + std::to_string(moment.generation) + ' ';
  }
  return text;
}

std::vector<FragmentMoment> parse_moments(std::string const& text) {
  std::istringstream in{text};
  std::vector<FragmentMoment> moments;
  FragmentMoment moment;
  char dot = 0;
  while (in >> moment.micro_batches >> dot >> moment.generation) moments.push_back(moment);
  return moments;
}

std::vector<FragmentMoment> common_moments(std::vector<std::string> const& texts) {
  std::vector<FragmentMoment> common;
  if (texts.empty()) return common;
  common = parse_moments(texts.front());
  for (std::string const& text : texts) {
    std::vector<FragmentMoment> const held = parse_moments(text);
    std::erase_if(common, [&](FragmentMoment const& moment) {
      return std::ranges::find(held, moment) == held.end();
    });
  }
  std::ranges::sort(common, std::ranges::greater{});
  return common;
}

std::string summary(std::vector<std::string> const& said) {
  std::map<int, std::string> by_replica;
  for (std::string const& text : said) {
    std::size_t const space = text.find(' ');
    if (space != std::string::npos)
      by_replica.emplace(std::stoi(text.substr(0, space)), text.substr(space + 1));
  }
  // Replicas that do the same are named together, in the order of the first of them.
  std::vector<std::pair<std::string, std::vector<int>>> groups;
  for (auto const& [replica, what] : by_replica) {
    auto known = std::ranges::find(groups, what, [](auto const& group) { return group.first; });
    if (known == groups.end()) known = groups.insert(known, {what, {}});
    known->second.push_back(replica);
  }
  std::string line;
  for (auto const& [what, replicas] : groups) {
    line += line.empty() ? "" : "; ";
    line += (replicas.size() > 1 ? "replicas " : "replica ") + ranges_of(replicas) + ": " + what;
  }
  return line;
}

}  // namespace dsr
