// SPDX-License-Identifier: Apache-2.0
#include "sim/front/database.hpp"

#include "sim/front/output.hpp"

#include <boost/algorithm/string/join.hpp>
#include <sqlite3.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <unistd.h>

namespace ts
{

const char database_name[] = "results.sqlite";

namespace
{

struct Close {
    void operator()(sqlite3 *database) const
    {
        sqlite3_close(database);
    }
    void operator()(sqlite3_stmt *statement) const
    {
        sqlite3_finalize(statement);
    }
};
using Database = std::unique_ptr<sqlite3, Close>;
using Statement = std::unique_ptr<sqlite3_stmt, Close>;

[[noreturn]] void database_error(sqlite3 *database, const std::string &path)
{
    environment_error(path + ": " + sqlite3_errmsg(database));
}

Database database_open(const std::string &path, int flags)
{
    sqlite3 *handle = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
    Database database(handle);
    if (code != SQLITE_OK)
        database_error(handle, path);
    return database;
}

// A name as SQL takes it: keys have dots.
std::string quoted(const std::string &name)
{
    std::string text = "\"";
    for (const char c : name)
        text += c == '"' ? std::string("\"\"") : std::string(1, c);
    return text + "\"";
}

class Writer
{
  public:
    explicit Writer(const std::string &path)
        : path_(path), database_(database_open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE))
    {
        // The file has a name of this process until it is complete.
        execute("PRAGMA journal_mode = OFF");
        execute("PRAGMA synchronous = OFF");
        execute("BEGIN");
    }

    void execute(const std::string &sql)
    {
        if (sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
            database_error(database_.get(), path_);
    }

    // Rows of a table with so many columns from here on.
    void begin(const std::string &table, size_t columns)
    {
        std::string sql = "INSERT INTO " + table + " VALUES (?";
        for (size_t i = 1; i < columns; i++)
            sql += ",?";
        sqlite3_stmt *statement = nullptr;
        if (sqlite3_prepare_v2(database_.get(), (sql + ")").c_str(), -1, &statement, nullptr) !=
            SQLITE_OK)
            database_error(database_.get(), path_);
        statement_.reset(statement);
        column_ = 0;
    }
    void text(const std::string &value)
    {
        check(sqlite3_bind_text(statement_.get(), ++column_, value.data(),
                                static_cast<int>(value.size()), SQLITE_TRANSIENT));
    }
    void number(double value)
    {
        check(sqlite3_bind_double(statement_.get(), ++column_, value));
    }
    void integer(uint64_t value)
    {
        check(sqlite3_bind_int64(statement_.get(), ++column_, static_cast<sqlite3_int64>(value)));
    }
    void end_row()
    {
        if (sqlite3_step(statement_.get()) != SQLITE_DONE)
            database_error(database_.get(), path_);
        check(sqlite3_reset(statement_.get()));
        column_ = 0;
    }

    void close()
    {
        statement_.reset();
        execute("COMMIT");
        database_.reset();
    }

  private:
    void check(int code) const
    {
        if (code != SQLITE_OK)
            database_error(database_.get(), path_);
    }

    std::string path_;
    Database database_;
    Statement statement_;
    int column_ = 0;
};

// SQLite's type of a swept column: words stay words.
std::string type_of(const SweptColumn &column)
{
    if (column.unit.empty())
        return "TEXT";
    return column.unit == "s" ? "REAL" : "INTEGER";
}

void write_runs(Writer *writer, const RunList &list, const std::vector<RunSummary> &runs)
{
    const std::vector<Metric> metrics = metrics_of(list);
    std::string sql = "CREATE TABLE runs (run INTEGER PRIMARY KEY, folder TEXT, id TEXT, " +
                      std::string(list.study ? "study" : "mechanism") +
                      " TEXT, platform TEXT, seed INTEGER";
    for (const SweptColumn &column : list.columns)
        sql += ", " + quoted(column.key) + " " + type_of(column);
    for (const Metric &metric : metrics)
        sql += ", " + quoted(metric.name) + " REAL";
    writer->execute(sql + ")");
    writer->begin("runs", 6 + list.columns.size() + metrics.size());
    for (size_t i = 0; i < runs.size(); i++) {
        const ListedRun &run = list.runs[i];
        if (runs[i].failed)
            continue;
        writer->integer(i + 1);
        writer->text(run.folder);
        writer->text(run.id);
        writer->text(run.subject);
        writer->text(run.platform);
        writer->integer(run.seed);
        for (const std::string &number : run.numbers)
            writer->text(number); // the column's type makes it a number
        for (const Metric &metric : metrics)
            writer->number(metric.value(runs[i]));
        writer->end_row();
    }
}

void write_paths(Writer *writer, const RunList &list, const std::vector<RunSummary> &runs)
{
    if (list.study)
        return;
    writer->execute("CREATE TABLE critical_path (run INTEGER, part TEXT, total_ps INTEGER, "
                    "shootdowns INTEGER)");
    writer->begin("critical_path", 4);
    for (size_t i = 0; i < runs.size(); i++)
        for (size_t part = 0; !runs[i].failed && part < TS_PATH_PARTS; part++) {
            writer->integer(i + 1);
            writer->text(ts_path_part_names[part]);
            writer->integer(runs[i].machine.path_ps[part]);
            writer->integer(runs[i].machine.records);
            writer->end_row();
        }
}

void write_columns(Writer *writer, const RunList &list)
{
    writer->execute("CREATE TABLE columns (name TEXT, kind TEXT, unit TEXT, meaning TEXT)");
    writer->begin("columns", 4);
    const auto row = [&](const std::string &name, const std::string &kind, const std::string &unit,
                         const std::string &meaning) {
        for (const std::string &text : {name, kind, unit, meaning})
            writer->text(text);
        writer->end_row();
    };
    for (const SweptColumn &column : list.columns)
        row(column.key, "swept", column.unit, column.help);
    for (const Metric &metric : metrics_of(list))
        row(metric.name, "metric", metric.unit, metric.help);
}

void write_failures(Writer *writer, const std::vector<FailureRecord> &failures)
{
    writer->execute("CREATE TABLE failures (folder TEXT, exit_code INTEGER, message TEXT, "
                    "reproduce TEXT)");
    writer->begin("failures", 4);
    for (const FailureRecord &failure : failures) {
        writer->text(failure.run);
        writer->integer(static_cast<uint64_t>(failure.exit_code));
        writer->text(failure.message);
        writer->text(failure.reproduce);
        writer->end_row();
    }
}

std::string cell(sqlite3_stmt *statement, int column)
{
    if (sqlite3_column_type(statement, column) == SQLITE_FLOAT)
        return number(sqlite3_column_double(statement, column));
    const unsigned char *text = sqlite3_column_text(statement, column);
    return text ? csv_field(reinterpret_cast<const char *>(text)) : "";
}

// The names that are there instead of an unknown one, where that is what SQLite complains of: the
// tables, or the columns of all of them.
std::string help_for(sqlite3 *database, const std::string &complaint)
{
    const auto names = [&](const char *sql) {
        std::vector<std::string> all;
        sqlite3_stmt *handle = nullptr;
        sqlite3_prepare_v2(database, sql, -1, &handle, nullptr);
        const Statement statement(handle);
        while (statement && sqlite3_step(handle) == SQLITE_ROW)
            all.push_back(cell(handle, 0));
        return all;
    };
    const std::string word = complaint.substr(complaint.rfind(' ') + 1);
    if (complaint.find("no such table: ") == 0)
        return "; there are " +
               boost::algorithm::join(names("SELECT name FROM sqlite_master WHERE type = 'table'"),
                                      ", ");
    if (complaint.find("no such column: ") == 0)
        return did_you_mean(word, names("SELECT DISTINCT c.name FROM sqlite_master AS t, "
                                        "pragma_table_info(t.name) AS c"));
    return "";
}

// One statement that reads.
Statement prepare(sqlite3 *database, const std::string &sql)
{
    sqlite3_stmt *handle = nullptr;
    const char *rest = nullptr;
    const int code = sqlite3_prepare_v2(database, sql.c_str(), -1, &handle, &rest);
    Statement statement(handle);
    if (code != SQLITE_OK) {
        const std::string complaint = sqlite3_errmsg(database);
        user_error(Place(), "query: " + complaint + help_for(database, complaint));
    }
    if (!statement)
        user_error(Place(), "query: there is no statement");
    if (std::string(rest).find_first_not_of(" \t\r\n;") != std::string::npos)
        user_error(Place(), "query: more than one statement");
    if (sqlite3_stmt_readonly(handle) == 0 || sqlite3_column_count(handle) == 0)
        user_error(Place(), "query: only statements that read and give rows, such as SELECT");
    return statement;
}

} // namespace

void database_write(const std::string &folder, const RunList &list,
                    const std::vector<RunSummary> &runs, const std::vector<FailureRecord> &failures)
{
    const std::string path = folder + "/" + database_name;
    const std::string work = path + "." + std::to_string(getpid()) + ".tmp";
    std::filesystem::remove(work);
    Writer writer(work);
    write_runs(&writer, list, runs);
    write_paths(&writer, list, runs);
    write_columns(&writer, list);
    write_failures(&writer, failures);
    writer.close();
    if (std::rename(work.c_str(), path.c_str()) != 0)
        system_error("cannot write", path);
}

std::string database_query(const std::string &folder, const std::string &statement)
{
    const std::string path = folder + "/" + database_name;
    if (!std::filesystem::exists(path))
        user_error(Place(), folder + " has no " + database_name +
                                "; `tlbstorm collect` makes it from the folders");
    const Database database = database_open(path, SQLITE_OPEN_READONLY);
    const Statement select = prepare(database.get(), statement);
    const int columns = sqlite3_column_count(select.get());
    std::string text;
    for (int i = 0; i < columns; i++)
        text += (i > 0 ? "," : "") + csv_field(sqlite3_column_name(select.get(), i));
    text += "\n";
    int code;
    while ((code = sqlite3_step(select.get())) == SQLITE_ROW) {
        for (int i = 0; i < columns; i++)
            text += (i > 0 ? "," : "") + cell(select.get(), i);
        text += "\n";
    }
    if (code != SQLITE_DONE)
        user_error(Place(), "query: " + std::string(sqlite3_errmsg(database.get())));
    return text;
}

} // namespace ts
