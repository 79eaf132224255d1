// SPDX-License-Identifier: Apache-2.0
#include "dsr/ops/embedding.hpp"

#include "libdsr/ops/backend.hpp"
#include "libdsr/ops/check.hpp"

namespace dsr {
namespace {

/// Features in P blocks: blocked [P, T, H/P] beside table [rows, H].
void check_operands(detail::Check const& check, Tensor const& ids, std::string_view table_name,
                    Tensor const& table, std::string_view blocked_name, Tensor const& blocked,
                    DType table_type) {
  check.floating(table_name, table);
  check.tensor(table.rank() == 2, table_name, table, "[rows, H]");
  check.floating(blocked_name, blocked);
  check.tensor(table.dtype() == table_type, blocked_name, blocked,
               "what fits the table's type " + std::string(name_of(table.dtype())));
  check.tensor(blocked.rank() == 3 && blocked.size(0) * blocked.size(2) == table.size(1),
               blocked_name, blocked, "[P, T, H/P] with H = " + std::to_string(table.size(1)));
  check.exactly("ids", ids, {blocked.size(1)}, DType::i32);
}

}  // namespace

void embedding(Tensor ids, Tensor table, Size first_row, Tensor out, Stream& stream) {
  check_operands(detail::Check{"embedding", stream}, ids, "table", table, "out", out, out.dtype());
  detail::count(stream, {ids, out, out, out});  // a table row is read for each token
  detail::backend(stream.device()).embedding(ids, table, first_row, out, stream);
}

void embedding_backward(Tensor ids, Size first_row, Tensor dx, Tensor dtable, Stream& stream) {
  check_operands(detail::Check{"embedding_backward", stream}, ids, "dtable", dtable, "dx", dx,
                 accumulator_of(dx.dtype()));
  detail::count(stream, {ids, dx, dx, dx});  // a gradient row is read and written for each token
  detail::backend(stream.device()).embedding_backward(ids, first_row, dx, dtable, stream);
}

}  // namespace dsr
