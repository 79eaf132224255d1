// SPDX-License-Identifier: Apache-2.0
#include "dsr/ops/embedding.hpp"

#include "libdsr/ops/backend.hpp"
#include "libdsr/ops/check.hpp"

namespace dsr {
namespace {

struct Names {
  std::string_view ids, table, blocked;
};

/// Features in P blocks: blocked [P, T, H/P] beside table [rows, H].
void check_operands(detail::Check const& check, Names const& names, Tensor const& ids,
                    Tensor const& table, Tensor const& blocked, DType table_type) {
  check.floating(names.table, table);
  check.tensor(table.rank() == 2, names.table, table, "[rows, H]");
  check.floating(names.blocked, blocked);
  check.tensor(table.dtype() == table_type, names.blocked, blocked,
               "what fits the table's type " + std::string(name_of(table.dtype())));
  check.tensor(blocked.rank() == 3 && blocked.size(0) * blocked.size(2) == table.size(1),
               names.blocked, blocked, "[P, T, H/P] with H = " + std::to_string(table.size(1)));
  check.exactly(names.ids, ids, {blocked.size(1)}, DType::i32);
}

}  // namespace

void embedding(Tensor ids, Tensor table, Size first_row, Tensor out, Stream& stream) {
  check_operands(detail::Check{"embedding", stream}, {"ids", "table", "out"}, ids, table, out,
                 out.dtype());
  detail::count(stream, {ids, out, out, out});  // a table row is read for each token
  detail::backend(stream.device()).embedding(ids, table, first_row, out, stream);
}

void embedding_sum(LookUp const& a, LookUp const& b, Tensor out, Stream& stream) {
  detail::Check const check{"embedding_sum", stream};
  check_operands(check, {"a.ids", "a.table", "out"}, a.ids, a.table, out, out.dtype());
  check_operands(check, {"b.ids", "b.table", "out"}, b.ids, b.table, out, out.dtype());
  detail::count(stream, {a.ids, b.ids, out, out, out});  // a row of each table for each token
  detail::backend(stream.device()).embedding_sum(a, b, out, stream);
}

void embedding_backward(Tensor ids, Size first_row, Tensor dx, Tensor dtable, Stream& stream) {
  check_operands(detail::Check{"embedding_backward", stream}, {"ids", "dtable", "dx"}, ids, dtable,
                 dx, accumulator_of(dx.dtype()));
  detail::count(stream, {ids, dx, dx, dx});  // a gradient row is read and written for each token
  detail::backend(stream.device()).embedding_backward(ids, first_row, dx, dtable, stream);
}

}  // namespace dsr
