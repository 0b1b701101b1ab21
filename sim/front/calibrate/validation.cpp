// SPDX-License-Identifier: Apache-2.0
#include "sim/front/calibrate/validation.hpp"

#include "sim/front/output.hpp"
#include "sim/front/results.hpp"

#include <cmath>

namespace ts
{
namespace
{

bool is_time(const ValidateRow &row)
{
    return row.unit == ValidateRow::Unit::Ns;
}

std::string value_text(const ValidateRow &row, double value)
{
    return is_time(row) ? short_time(value * 1e-9) : fixed(value, 2);
}

std::string error_text(double error)
{
    return (error < 0 ? "-" : "+") + fixed(std::fabs(error), 0) + " %";
}

// Of the rows that calibrate never saw, each time of the simulator longer by the factor.
struct HeldOut {
    std::vector<double> errors;
    const ValidateRow *worst = nullptr;
    double worst_error = 0;

    HeldOut(const std::vector<ValidateRow> &rows, double factor)
    {
        for (const ValidateRow &row : rows) {
            if (!row.held_out || row.real.median <= 0)
                continue;
            const double simulated = row.simulated * (is_time(row) ? factor : 1),
                         error = (simulated / row.real.median - 1) * 100;
            errors.push_back(std::fabs(error));
            if (!worst || std::fabs(error) > std::fabs(worst_error)) {
                worst = &row;
                worst_error = error;
            }
        }
    }
    std::string text() const
    {
        const Spread spread = spread_of(errors);
        return "the median error is " + fixed(spread.median, 0) +
               " %, half of the rows are within " + fixed(spread.low, 0) + " to " +
               fixed(spread.high, 0) + " %; the worst is " + worst->name + " at " +
               error_text(worst_error) + ".\n";
    }
};

} // namespace

double ValidateRow::error() const
{
    return (simulated - real.median) / real.median * 100;
}

double Validation::drift() const
{
    constexpr size_t least = 3;
    std::vector<double> ratios;
    for (const ValidateRow &row : rows)
        if (!row.held_out && is_time(row) && row.simulated > 0)
            ratios.push_back(row.real.median / row.simulated);
    return ratios.size() < least ? 1 : spread_of(ratios).median;
}

std::string Validation::csv() const
{
    std::string text = "row,role,unit,real,real_q1,real_q3,n,simulated,error_percent\n";
    for (const ValidateRow &row : rows) {
        const int digits = is_time(row) ? 0 : 3;
        text += csv_field(row.name) + "," + (row.held_out ? "held_out" : "used") + "," +
                (is_time(row) ? "ns" : "interrupts") + "," + fixed(row.real.median, digits) + "," +
                fixed(row.real.low, digits) + "," + fixed(row.real.high, digits) + "," +
                std::to_string(row.real.n) + "," + fixed(row.simulated, digits) + "," +
                (row.real.median > 0 ? fixed(row.error(), 1) : "") + "\n";
    }
    return text;
}

std::string Validation::table() const
{
    TableRows table = {{"row", "", "real", "IQR", "n", "simulated", "error"}};
    for (const ValidateRow &row : rows)
        table.push_back({row.name, row.held_out ? "held out" : "used",
                         value_text(row, row.real.median),
                         value_text(row, row.real.low) + " to " + value_text(row, row.real.high),
                         std::to_string(row.real.n), value_text(row, row.simulated),
                         row.real.median > 0 ? error_text(row.error()) : "-"});
    return table_text(table, 2);
}

std::string Validation::verdict() const
{
    constexpr double noticeable = 0.05;
    const HeldOut plain(rows, 1);
    const double factor = drift();
    std::string text = "Rows that calibrate has used are marked `used`; the verdict is of the " +
                       std::to_string(plain.errors.size()) + " that it never saw.\n";
    if (plain.worst)
        text += "Held out: " + plain.text();
    if (std::fabs(factor - 1) >= noticeable) {
        text += "The rows that calibrate has used take " + fixed(std::fabs(factor - 1) * 100, 0) +
                " % " + (factor > 1 ? "more" : "less") +
                " time now (median): the host has changed its speed since then.\n";
        if (plain.worst)
            text += "Held out, that change taken off: " + HeldOut(rows, factor).text();
    }
    for (const std::string &line : left_out)
        text += "left out: " + line + "\n";
    return text;
}

} // namespace ts
