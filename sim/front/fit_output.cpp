// SPDX-License-Identifier: Apache-2.0
// What a fit has found, as files and for people.
#include "sim/front/cmd_fit.hpp"
#include "sim/front/output.hpp"

#include <cmath>

namespace ts
{
namespace
{

// Estimates that go together more than this are named: the rows tell them apart badly.
constexpr double correlation_shown = 0.9;
// A row that the fit follows so far is checked by no other.
constexpr double leverage_alone = 0.98;

const char *bound_name(BoundReached bound)
{
    switch (bound) {
    case BoundReached::Low:
        return "low";
    case BoundReached::High:
        return "high";
    case BoundReached::None:
        break;
    }
    return "";
}

// In the parameter's unit; empty if there is none.
std::string error_text(const Fit &fit, const FitResult &result, size_t p)
{
    const double error = result.squares.standard_errors[p];
    if (std::isnan(error))
        return "";
    const double range = static_cast<double>(fit.parameters[p].high - fit.parameters[p].low);
    if (error > range)
        return "more than the range";
    return fit.parameters[p].key().format(static_cast<uint64_t>(std::llround(error)));
}

bool is_seen(const FitResult &result, size_t p)
{
    for (const Vector &row : result.squares.jacobian)
        if (row[p] != 0)
            return true;
    return false;
}

std::string keys_text(const FitParameter &p, const char *separator)
{
    std::string text;
    for (const Key *key : p.keys)
        text += (text.empty() ? "" : separator) + key->name;
    return text;
}

std::string rows_of(const Fit &fit, const std::string &reproduction)
{
    std::string text;
    for (const FitRow &row : fit.rows)
        if (row.fitted && fit.reproductions[row.reproduction].id == reproduction)
            text += (text.empty() ? "" : "; ") + row.row->name;
    return text;
}

std::string ids(const Fit &fit)
{
    std::string text;
    for (const Reproduction &reproduction : fit.reproductions)
        text += (text.empty() ? "" : ", ") + reproduction.id;
    return text;
}

std::string percent(double part)
{
    return fixed(part * 100, 1) + " %";
}

std::vector<double> fitted_errors(const Fit &fit, const FitResult &result)
{
    std::vector<double> errors;
    for (size_t i = 0; i < fit.fitted; i++)
        errors.push_back(fit_error(fit.rows[i], result.simulated[i]));
    return errors;
}

// Of rows that others check, in a fit without each.
std::vector<double> checked_errors(const Fit &fit, const FitResult &result)
{
    std::vector<double> errors;
    for (size_t i = 0; i < fit.fitted; i++)
        if (is_checked(result, i))
            errors.push_back(result.left_out[i]);
    return errors;
}

TableRows parameter_table(const Fit &fit, const FitResult &result)
{
    TableRows rows{{"parameter", "keys", "from", "to", "start", "fitted", "standard error"}};
    for (size_t i = 0; i < fit.parameters.size(); i++) {
        const FitParameter &p = fit.parameters[i];
        const BoundReached bound = result.squares.bounds[i];
        const std::string error = error_text(fit, result, i);
        rows.push_back({p.name, keys_text(p, ", "), p.key().format(p.low), p.key().format(p.high),
                        p.key().format(p.start), p.key().format(result.values[i]),
                        bound != BoundReached::None ? "at its bound"
                        : error.empty()             ? "-"
                                                    : error});
    }
    return rows;
}

TableRows row_table(const Fit &fit, const FitResult &result)
{
    TableRows rows{{"row", "of", "unit", "published", "simulated", "error", "left out"}};
    for (size_t i = 0; i < fit.rows.size(); i++) {
        const FitRow &row = fit.rows[i];
        rows.push_back({row.row->name, fit.reproductions[row.reproduction].id, row.row->unit,
                        number(std::round(row.row->published * 10) / 10),
                        number(std::round(result.simulated[i] * 10) / 10),
                        percent(fit_error(row, result.simulated[i])),
                        !row.fitted             ? "not fitted"
                        : is_checked(result, i) ? percent(result.left_out[i])
                                                : "by itself"});
    }
    return rows;
}

} // namespace

bool is_checked(const FitResult &result, size_t row)
{
    return result.squares.leverage[row] < leverage_alone;
}

std::string fit_csv(const Fit &fit, const FitResult &result)
{
    std::string text = "parameter,keys,experiments,low,high,start,fitted,standard_error,at_bound,"
                       "source_of_bounds\n";
    for (size_t i = 0; i < fit.parameters.size(); i++) {
        const FitParameter &p = fit.parameters[i];
        std::string in;
        for (const std::string &id : p.in)
            in += (in.empty() ? "" : " ") + id;
        text += csv_field(p.name) + "," + keys_text(p, " ") + "," + in + "," +
                p.key().format(p.low) + "," + p.key().format(p.high) + "," +
                p.key().format(p.start) + "," + p.key().format(result.values[i]) + "," +
                error_text(fit, result, i) + "," + bound_name(result.squares.bounds[i]) + "," +
                csv_field(p.source) + "\n";
    }
    return text;
}

std::string fit_rows_csv(const Fit &fit, const FitResult &result)
{
    std::string text = "experiment,row,fitted,weight,unit,published,at_start,simulated,error_pct,"
                       "left_out_error_pct\n";
    for (size_t i = 0; i < fit.rows.size(); i++) {
        const FitRow &row = fit.rows[i];
        text += fit.reproductions[row.reproduction].id + "," + csv_field(row.row->name) + "," +
                (row.fitted ? "yes," + number(row.weight) : "no,") + "," + row.row->unit + "," +
                number(row.row->published) + "," + number(result.at_start[i]) + "," +
                number(result.simulated[i]) + "," +
                number(fit_error(row, result.simulated[i]) * 100) + "," +
                (row.fitted && is_checked(result, i) ? number(result.left_out[i] * 100) : "") +
                "\n";
    }
    return text;
}

std::string fit_correlations_csv(const Fit &fit, const FitResult &result)
{
    std::string text = "parameter,other,correlation\n";
    for (size_t i = 0; i < fit.parameters.size(); i++)
        for (size_t j = i + 1; j < fit.parameters.size(); j++) {
            const double value = result.squares.correlations[i][j];
            if (!std::isnan(value))
                text += csv_field(fit.parameters[i].name) + "," +
                        csv_field(fit.parameters[j].name) + "," + fixed(value, 4) + "\n";
        }
    return text;
}

std::string fit_yaml(const Fit &fit, const FitResult &result, const std::string &reproduction)
{
    std::string text;
    for (size_t i = 0; i < fit.parameters.size(); i++) {
        const FitParameter &p = fit.parameters[i];
        if (p.in.count(reproduction) == 0)
            continue;
        std::string source = "fitted: ";
        for (const std::string &id : p.in)
            source += (source == "fitted: " ? "" : ", ") + id + " (" + rows_of(fit, id) + ")";
        if (result.squares.bounds[i] != BoundReached::None)
            source += "; at its bound: " + p.source;
        for (const Key *key : p.keys)
            text += key->name + ": {value: " + p.key().format(result.values[i]) +
                    ", source: " + yaml_quote(source) + ", confidence: derived}\n";
    }
    if (text.empty())
        return text;
    return "# Made by `tlbstorm fit` from " + ids(fit) + ".\n" + text;
}

std::string fit_text(const Fit &fit, const FitResult &result)
{
    std::string text = fit.id + ": " + fit.title + "\n" +
                       table_text(parameter_table(fit, result), 2) + "\n" +
                       table_text(row_table(fit, result), 3) + "\n";
    const std::vector<double> left_out = checked_errors(fit, result);
    text += "Median error of the " + std::to_string(fit.fitted) + " fitted rows " +
            percent(median_size(fitted_errors(fit, result))) + ", of each in a fit without it " +
            (left_out.empty() ? "-" : percent(median_size(left_out))) + "; " +
            std::to_string(fit.parameters.size()) + " parameters, " +
            std::to_string(result.simulations) + " simulations.\n";
    if (!result.squares.converged)
        text += "The fit has not come to its end within " + std::to_string(fit.iterations) +
                " steps ('iterations').\n";
    for (size_t i = 0; i < fit.fitted; i++)
        if (!is_checked(result, i))
            text += "Some parameter hangs on '" + fit.rows[i].row->name +
                    "' alone: a fit without it says nothing of it.\n";
    for (size_t i = 0; i < fit.parameters.size(); i++) {
        const FitParameter &p = fit.parameters[i];
        if (result.squares.bounds[i] != BoundReached::None)
            text += p.name + " is at its " + bound_name(result.squares.bounds[i]) + " bound, " +
                    p.key().format(result.values[i]) + " (" + p.source + ").\n";
        if (!is_seen(result, i))
            text += "No fitted row depends on " + p.name + ".\n";
        for (size_t j = i + 1; j < fit.parameters.size(); j++)
            if (std::fabs(result.squares.correlations[i][j]) > correlation_shown)
                text += "The rows hardly tell " + p.name + " and " + fit.parameters[j].name +
                        " apart: their estimates have a correlation of " +
                        fixed(result.squares.correlations[i][j], 3) + ".\n";
    }
    return text;
}

} // namespace ts
