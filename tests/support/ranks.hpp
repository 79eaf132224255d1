// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What a test that runs under mpirun has: the Runtime that its main made. A case that fails on one
/// rank fails the program on all; every rank runs every case, so cases may communicate.
#include "dsr/comm/runtime.hpp"

namespace dsr::test {

Runtime& runtime();

}  // namespace dsr::test
