// SPDX-License-Identifier: Apache-2.0
#include "libdsr/comm/nccl/nccl_world.hpp"

#include <array>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <utility>

#include "dsr/comm/agree.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/comm/nccl_options.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/comm/gpu_requirements.hpp"
#include "libdsr/comm/nccl/check.hpp"
#include "libdsr/comm/nccl/nccl_communicator.hpp"
#include "libdsr/core/cuda/check.hpp"

namespace dsr::detail {
namespace {

std::string pci_address(int device) {
  std::array<char, 32> text{};
  check(cudaDeviceGetPCIBusId(text.data(), static_cast<int>(text.size()), device));
  return text.data();
}

void require_own_gpus(Communicator& group, std::string const& host, Device device) {
  char const* const id = std::getenv("NCCL_HOSTID");
  std::vector<std::string> const texts = gather_texts(
      (id == nullptr ? host : std::string{id}) + "\n" + pci_address(device.index), group);
  std::vector<GpuPlace> places;
  for (std::string const& text : texts) {
    std::size_t const end = text.rfind('\n');
    places.push_back({text.substr(0, end), text.substr(end + 1)});
  }
  require_own_gpus(places);
}

void prepare(Communicator& group, std::string const& host, Device device, Log const& log) {
  // Several communicators on one device may otherwise be launched in different orders by different
  // ranks.
  setenv("NCCL_LAUNCH_ORDER_IMPLICIT", "1", 0);
  int version = 0;
  check_nccl(ncclGetVersion(&version), nullptr, "ncclGetVersion");
  std::vector<int> versions;
  for (std::string const& text : gather_texts(std::to_string(version), group))
    versions.push_back(std::stoi(text));
  std::string const warning = require_nccl(versions);
  require_own_gpus(group, host, device);
  if (group.rank() != 0) return;
  if (!warning.empty()) log.warn(warning);
  for (std::string const& each : check_environment()) log.warn(each);
  if (group.size() > 1) log.info("NCCL " + nccl_version_text(version) + ", " + nccl_environment());
}

ncclComm_t connect(Communicator& group, double timeout_s) {
  ncclUniqueId id{};
  agree(group, [&] {
    if (group.rank() == 0) check_nccl(ncclGetUniqueId(&id), nullptr, "ncclGetUniqueId");
  });
  std::string const sent = broadcast_text(std::string(id.internal, sizeof id.internal), 0, group);
  std::memcpy(id.internal, sent.data(), sizeof id.internal);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  ncclComm_t comm = nullptr;
  std::string const what = "start of " + std::to_string(group.size()) + " ranks";
  try {
    // Apart: as one expression, settle could be given the pointer from before it is set.
    ncclResult_t const status =
        ncclCommInitRankConfig(&comm, group.size(), id, group.rank(), &config);
    settle(status, comm, timeout_s, what);
  } catch (Error const&) {
    if (comm != nullptr) ncclCommAbort(comm);
    throw;
  }
  return comm;
}

}  // namespace

std::shared_ptr<CommunicatorState> make_nccl_world(std::shared_ptr<MpiCommunicator> control,
                                                   Device device, std::string const& host,
                                                   Log const& log) {
  check(cudaSetDevice(device.index));  // and stays current: this thread issues all work
  Communicator group{control};
  prepare(group, host, device, log);
  auto nccl = std::make_shared<NcclSession>();
  std::shared_ptr<NcclHandle> handle;
  if (control->size() > 1) {
    std::vector<int> members(static_cast<std::size_t>(control->size()));
    std::iota(members.begin(), members.end(), 0);
    handle = nccl->add(connect(group, control->session().timeout_s()), std::move(members));
    // NCCL ends before MPI, while all ranks still live.
    Session& session = control->session();
    session.at_end([nccl, &session] { nccl->finish(session.timeout_s()); });
  }
  return std::make_shared<NcclCommunicator>(std::move(control), std::move(nccl), std::move(handle),
                                            device);
}

}  // namespace dsr::detail
