// SPDX-License-Identifier: Apache-2.0
#pragma once
/// NcclOptions: the settings of NCCL that matter, and their way into the environment, where NCCL
/// reads them once, when the first Runtime moves to CUDA.
///
///     apply({.socket_ifname = "eth0", .max_ctas = 8});
///     runtime.use({Device::Kind::cuda});
///
/// All other variables of NCCL are left as the user has set them.
#include <string>
#include <vector>

#include "dsr/core/shape.hpp"

namespace dsr {

/// Empty text and 0: NCCL's own choice, or what the environment says.
struct NcclOptions {
  /// NCCL_SOCKET_IFNAME: interfaces, "eth0,eth1"; "=eth0" exactly, "^lo" all but.
  std::string socket_ifname = {};
  /// NCCL_BUFFSIZE: bytes of a channel's buffer.
  Size buffsize = 0;
  /// NCCL_DEBUG: version, warn, info or trace.
  std::string debug = {};
  /// NCCL_ALGO: "ring,tree", "^tree" or, by collective, "allreduce:tree;allgather:ring".
  std::string algo = {};
  /// NCCL_PROTO: ll, ll128 and simple, written as in algo.
  std::string proto = {};
  /// NCCL_MIN_CTAS and NCCL_MAX_CTAS: thread blocks of a collective.
  int min_ctas = 0, max_ctas = 0;
  /// Throws one InvalidArgument with all problems.
  void validate() const;
};

/// Validates, then sets the variables of the options that are given; a variable that was set before
/// is replaced.
void apply(NcclOptions const& options);

/// One sentence for each variable in the environment that looks like NCCL's and is read by nobody,
/// with the right one.
std::vector<std::string> check_environment();

/// The variables that apply() may set and NCCL_LAUNCH_ORDER_IMPLICIT, NCCL_HOSTID, as far as they
/// are set: "NCCL_DEBUG=INFO, NCCL_MAX_CTAS=8".
std::string nccl_environment();

}  // namespace dsr
