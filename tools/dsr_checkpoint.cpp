// SPDX-License-Identifier: Apache-2.0
/// Looks at, checks, copies and exchanges checkpoints; needs no MPI and no GPU.
///
///     dsr-checkpoint list run
///     dsr-checkpoint verify run --json
///     dsr-checkpoint export run/checkpoints/step_000001200.g002 gpt2 --format safetensors
#include <dsr/core/error.hpp>
#include <dsr/core/version.hpp>
#include <exception>
#include <iostream>

#include "checkpoint_commands.hpp"

int main(int argc, char** argv) {
  constexpr int kIoFailed = 74, kInternal = 70;
  try {
    tool::Arguments const arguments = tool::parse_arguments(argc, argv);
    int result = 0;
    if (arguments.command == "help")
      std::cout << tool::usage();
    else if (arguments.command == "version")
      std::cout << "dsr-checkpoint " << dsr::version() << '\n';
    else
      result = tool::run(arguments, dsr::system_files(), std::cout);
    if (std::cout.flush()) return result;
    std::cerr << dsr::problem("standard output", "cannot write") << '\n';
    return kIoFailed;
  } catch (dsr::Error const& error) {
    std::cerr << error.what() << '\n';
    return error.exit_code();
  } catch (std::exception const& error) {
    std::cerr << dsr::problem("dsr-checkpoint", error.what()) << '\n';
    return kInternal;
  }
}
