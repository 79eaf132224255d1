// SPDX-License-Identifier: Apache-2.0
// A program that fails in the way its argument says; termination_test.py looks at how it ends.
#include <cstdio>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "dsr/comm/agree.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/comm/mpi.hpp"
#include "dsr/comm/runtime.hpp"
#include "dsr/core/error.hpp"

namespace {

using dsr::Runtime;

/// What the ranks that did not fail do: wait for the one that did, for longer than the test allows.
void wait_for_ever(Runtime& runtime) { dsr::wait_for_all(runtime.world()); }

void throw_on_worker(Runtime& runtime) {
  dsr::Stream exchange = runtime.communication_stream();
  exchange.run([] { throw dsr::IoError("dsr: checkpoint: disk full"); });
  exchange.synchronize();
}

void fall_silent(Runtime& runtime) {
  dsr::Communicator group = dsr::communicator(dsr::native_mpi(runtime.world()), "row", 0.5);
  std::vector<float> x(100000);
  dsr::Stream stream{dsr::kCpu};
  if (runtime.rank() == 0) {
    dsr::all_reduce(dsr::Tensor{x.data(), {100000}, dsr::DType::f32, dsr::kCpu}, dsr::Reduce::sum,
                    group, stream);
  }
  wait_for_ever(runtime);
}

using Failure = std::function<void(Runtime&)>;

std::map<std::string, Failure> failures() {
  return {
      {"none", [](Runtime& runtime) { wait_for_ever(runtime); }},
      {"input", [](Runtime&) { throw dsr::InvalidArgument("dsr: model.heads: 4 % 3, allowed 0"); }},
      {"usage", [](Runtime&) { throw dsr::UsageError("dsr: --stepz: unknown, allowed --steps"); }},
      {"data", [](Runtime&) { throw dsr::CorruptData("dsr: train.bin: odd size"); }},
      {"io", [](Runtime&) { throw dsr::IoError("dsr: train.bin: no such file"); }},
      {"comm", [](Runtime&) { throw dsr::CommError("dsr: peer: lost"); }},
      {"standard", [](Runtime&) { throw std::runtime_error("a standard error"); }},
      {"number", [](Runtime&) { throw 7; }},
      {"place",
       [](Runtime& runtime) {
         runtime.set_place("dp 1, row 0");
         dsr::wait_for_all(runtime.world());
         throw dsr::IoError("dsr: train.bin: no such file");
       }},
      {"agreed",
       [](Runtime& runtime) {
         dsr::agree(runtime.world(), [&] {
           if (runtime.rank() == runtime.size() - 1)
             throw dsr::IoError("dsr: train.bin: no such file");
         });
       }},
      {"input_alone",
       [](Runtime& runtime) {
         if (runtime.rank() == runtime.size() - 1) throw dsr::InvalidArgument("dsr: alone: here");
         wait_for_ever(runtime);
       }},
      {"io_alone",
       [](Runtime& runtime) {
         if (runtime.rank() == runtime.size() - 1) throw dsr::IoError("dsr: alone: here");
         wait_for_ever(runtime);
       }},
      {"worker", throw_on_worker},
      {"silence", fall_silent},
  };
}

}  // namespace

int main(int argc, char** argv) {
  std::string const how = argc > 1 ? argv[1] : "none";
  if (how == "options") {
    Runtime runtime{argc, argv, {.threads = -1}};
    return 0;
  }
  if (how == "caught") {
    // The error leaves the Runtime's scope on one rank while the others wait.
    try {
      Runtime runtime{argc, argv};
      if (runtime.rank() == 0) throw dsr::IoError("dsr: caught: outside");
      wait_for_ever(runtime);
    } catch (dsr::IoError const& error) {
      std::fprintf(stderr, "main caught %s\n", error.what());
      return error.exit_code();
    }
    return 0;
  }
  Runtime runtime{argc, argv};
  std::printf("started\n");
  failures().at(how)(runtime);
  return 0;
}
