// SPDX-License-Identifier: Apache-2.0
#pragma once
/// For programs with CUDA code of their own; see dsr/core/cuda.hpp and dsr/comm/nccl.hpp.
#include "dsr/comm/nccl.hpp"
#include "dsr/core/cuda.hpp"
