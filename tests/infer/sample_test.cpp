// SPDX-License-Identifier: Apache-2.0
/// Sampling gives the same tokens on every mesh as on one rank.
#include "dsr/infer/sample.hpp"

#include "dsr/comm/mpi.hpp"
#include "dsr/core/error.hpp"
#include "dsr/ops/elementwise.hpp"
#include "dsr/state/parameters.hpp"
#include "support/catch.hpp"
#include "support/meshes.hpp"
#include "support/ranks.hpp"

namespace dsr {
namespace {

struct Sampler {
  Sampler(Communicator const& parent, MeshShape const& shape)
      : mesh{parent, shape},
        model{{.layers = 2, .hidden = 24, .heads = 12, .vocabulary = 61, .sequence = 7}, mesh},
        parameters{model, mesh, {.seed = 2, .dtype = DType::f64}},
        compute{kCpu},
        exchange{test::runtime().communication_stream()},
        pass{mesh,
             compute,
             exchange,
             measure(model, mesh, 1, 7, {.dtype = DType::f64}).arenas,
             {.dtype = DType::f64}} {
    // At the start all tokens are about as likely; larger weights make the choice depend on the
    // prompt.
    for (FlatBuffer& flat : parameters.flats()) {
      if (flat.decay == Decay::yes) scale(flat.values, 20, compute);
    }
  }
  std::vector<std::int32_t> draw(std::vector<std::int32_t> prompt, SampleOptions const& options) {
    return sample(model, pass, std::move(prompt), options);
  }
  Mesh mesh;
  Gpt model;
  Parameters parameters;
  Stream compute, exchange;
  Pass pass;
};

TEST_CASE("the same tokens on every mesh, past the window too") {
  Communicator const self = communicator(MPI_COMM_SELF, "self");
  Sampler serial{self, {}};
  for (double temperature : {0.0, 1.0}) {
    SampleOptions const options{.tokens = 20, .temperature = temperature, .seed = 4};
    auto const expected = serial.draw({1, 2, 3}, options);
    CHECK(expected.size() == 20);
    CHECK(expected == serial.draw({1, 2, 3}, options));
    CHECK(expected != serial.draw({9, 8}, options));
    for (MeshShape const& shape : test::promised_meshes(test::runtime().size())) {
      INFO(to_string(shape) << ", temperature " << temperature);
      CHECK(Sampler{test::runtime().world(), shape}.draw({1, 2, 3}, options) == expected);
    }
  }
}

TEST_CASE("another seed draws other tokens; what is not a prompt is refused") {
  Communicator const self = communicator(MPI_COMM_SELF, "self");
  Sampler serial{self, {}};
  CHECK(serial.draw({1}, {.tokens = 30, .temperature = 1, .seed = 1}) !=
        serial.draw({1}, {.tokens = 30, .temperature = 1, .seed = 2}));
  CHECK_THROWS_AS(serial.draw({}, {}), InvalidArgument);
  CHECK_THROWS_AS(serial.draw({61}, {}), InvalidArgument);
  CHECK_THROWS_AS(serial.draw({-1}, {}), InvalidArgument);
  CHECK_THROWS_AS(serial.draw({1}, {.tokens = 0}), InvalidArgument);
  CHECK_THROWS_AS(serial.draw({1}, {.temperature = -1}), InvalidArgument);
}

}  // namespace
}  // namespace dsr
