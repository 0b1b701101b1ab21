// SPDX-License-Identifier: Apache-2.0
// results.sqlite: what the folders of a sweep hold, for questions in SQL. It is made anew from the
// folders, which stay the truth. Tables and columns are in docs/output.md.
#ifndef TS_SIM_FRONT_DATABASE_HPP
#define TS_SIM_FRONT_DATABASE_HPP

#include "sim/front/results.hpp"
#include "sim/front/store.hpp"

#include <string>
#include <vector>

namespace ts
{

extern const char database_name[]; // results.sqlite

// Writes it into folder, in one step. Equal results give equal bytes.
void database_write(const std::string &folder, const RunList &list,
                    const std::vector<RunSummary> &runs,
                    const std::vector<FailureRecord> &failures);

// The rows that one statement gives, as CSV with a heading. The database is opened for reading
// only. A user error for a statement that is wrong, that would write, or that gives no rows.
std::string database_query(const std::string &folder, const std::string &statement);

} // namespace ts

#endif
