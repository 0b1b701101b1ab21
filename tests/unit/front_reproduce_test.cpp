// SPDX-License-Identifier: Apache-2.0
// What `tlbstorm reproduce` reads and what it prints; that it runs: tests/cli/reproduce.sh.
#include "sim/front/cmd_reproduce.hpp"

#include "tests/unit/front_support.hpp"

using namespace ts;

namespace
{

const char csv[] = "# copied from somewhere\n"
                   "mode,dry,sum\n"
                   "one,100,2000\n"
                   "two,300,4000.5\n";

const Place here{"here", 3, 5};

} // namespace

TEST(PublishedTable, SkipsRemarksAndTakesTheFieldOfTheOneRow)
{
    const PublishedTable table = published_parse(csv, "t.csv");

    EXPECT_EQ(table.columns, (std::vector<std::string>{"mode", "dry", "sum"}));
    EXPECT_EQ(table.rows.size(), 2u);
    EXPECT_EQ(published_value(table, {{"mode", "two"}}, "sum", here), 4000.5);
    EXPECT_EQ(published_value(table, {{"mode", "one"}, {"dry", "100"}}, "sum", here), 2000);
}

TEST(PublishedTable, MayHaveSemicolonsSpacesAndWindowsLines)
{
    const PublishedTable table = published_parse("a;b\r\n 1 ; 2,5\r\n3; 4e2\r\n", "t.csv");

    EXPECT_EQ(published_value(table, {{"a", "3"}}, "b", here), 400);
    EXPECT_EQ(user_error_of([&] {
                  published_value(table, {{"a", "1"}}, "b", here);
              }),
              "here:3:5: t.csv: '2,5' in column b is no number");
}

TEST(PublishedTable, SaysWhatIsMissing)
{
    const PublishedTable table = published_parse(csv, "t.csv");

    EXPECT_EQ(user_error_of([&] {
                  published_value(table, {{"mode", "three"}}, "sum", here);
              }),
              "here:3:5: t.csv has no row with mode=three");
    EXPECT_EQ(user_error_of([&] {
                  published_value(table, {{"mode", "one"}}, "sun", here);
              }),
              "here:3:5: t.csv has no column 'sun' (did you mean 'sum'?)");
    EXPECT_EQ(user_error_of([&] {
                  published_value(table, {{"made", "one"}}, "sum", here);
              }),
              "here:3:5: t.csv has no column 'made' (did you mean 'mode'?)");
    EXPECT_EQ(user_error_of([&] { published_value(table, {}, "sum", here); }),
              "here:3:5: t.csv has more than one row with ");
    EXPECT_EQ(user_error_of([&] { published_parse("a,b\n1,2\n1,2,3\n", "t.csv"); }),
              "t.csv:3: 3 fields, but the header has 2");
    EXPECT_EQ(user_error_of([&] { published_parse("# nothing\na,b\n", "t.csv"); }),
              "t.csv: the table has no rows");
}

TEST(ConvertUnit, GoesByKnownRulesOnly)
{
    EXPECT_DOUBLE_EQ(convert_unit(1.5, "s", "ns", 0, here), 1.5e9);
    EXPECT_DOUBLE_EQ(convert_unit(2500, "ps", "us", 0, here), 0.0025);
    EXPECT_DOUBLE_EQ(convert_unit(1000, "ps", "cycles", 2500000000u, here), 2.5);
    EXPECT_DOUBLE_EQ(convert_unit(5, "cycles", "ns", 2500000000u, here), 2);
    EXPECT_DOUBLE_EQ(convert_unit(0.25, "ratio", "%", 0, here), 25);
    EXPECT_DOUBLE_EQ(convert_unit(46799.5e6, "uHz", "1/s", 0, here), 46799.5);
    EXPECT_DOUBLE_EQ(convert_unit(7, "pages", "pages", 0, here), 7);
    for (const auto &[from, to] : {std::pair{"ns", "1"}, {"1", "ns"}, {"pages", "ratio"}})
        EXPECT_EQ(user_error_of([&, from = from, to = to] { convert_unit(1, from, to, 1, here); }),
                  std::string("here:3:5: there is no rule that makes '") + to + "' of '" + from +
                      "'");
    // Cycles of which clock?
    EXPECT_EQ(user_error_of([] { convert_unit(1, "cycles", "ns", 0, here); }),
              "here:3:5: there is no rule that makes 'ns' of 'cycles'");
}

class ReproductionTest : public FrontTest
{
  protected:
    ReproductionTest()
    {
        write("configs/experiments/tiny.yaml", "schema: 1\n");
        write("configs/reproduce/T.csv", csv);
        file_ = path("configs/reproduce/T.yaml");
    }

    Reproduction parse(const std::string &text) const
    {
        std::filesystem::current_path(folder_);
        write("configs/reproduce/T.yaml", text);
        return reproduction_parse(text, file_, Paths(file_));
    }

    // The error of `good` with the first `from` replaced, without the file's name.
    std::string error_of(const std::string &from, const std::string &to) const
    {
        std::string text = good;
        const size_t at = text.find(from);
        EXPECT_NE(at, std::string::npos) << from;
        text.replace(at, from.size(), to);
        const std::string error = user_error_of([&] { parse(text); });
        return error.compare(0, file_.size(), file_) == 0 ? error.substr(file_.size() + 1) : error;
    }

    const std::string good = "schema: 1\n"              // 1
                             "title: a test\n"          // 2
                             "source: nobody\n"         // 3
                             "published: T.csv\n"       // 4
                             "experiments: {t: tiny}\n" // 5
                             "rows:\n"                  // 6
                             "  first:\n"               // 7
                             "    role: calibrate\n"    // 8
                             "    unit: us\n"           // 9
                             "    published: {row: {mode: two}, column: sum, unit: ns, per: 4}\n"
                             "    simulated: {platform: x86, sweep: {run.vms: 2}, stat: a.b}\n"
                             "    tolerance: 5%\n"
                             "  second:\n"
                             "    role: predict\n"
                             "    unit: ratio\n"
                             "    simulated: {platform: x86, stat: a.b, per: a.n}\n"
                             "    over: {platform: arm}\n";
    std::string file_;
};

TEST_F(ReproductionTest, IsRead)
{
    const Reproduction r = parse(good);

    EXPECT_EQ(r.id, "T");
    EXPECT_EQ(r.title, "a test");
    EXPECT_EQ(r.source, "nobody");
    ASSERT_EQ(r.rows.size(), 2u);
    EXPECT_EQ(r.rows[0].name, "first");
    EXPECT_EQ(r.rows[0].role, RowRole::Calibrate);
    EXPECT_TRUE(r.rows[0].has_published);
    EXPECT_DOUBLE_EQ(r.rows[0].published, 4000.5 / 4 / 1000);
    EXPECT_DOUBLE_EQ(r.rows[0].tolerance, 0.05);
    EXPECT_EQ(r.rows[0].simulated.experiment, "t");
    EXPECT_EQ(r.rows[0].simulated.swept.at("run.vms"), "2");
    EXPECT_FALSE(r.rows[0].has_base);
    EXPECT_EQ(r.rows[1].role, RowRole::Predict);
    EXPECT_FALSE(r.rows[1].has_published);
    EXPECT_FALSE(r.rows[1].has_tolerance);
    // `over` takes what it does not say from `simulated`.
    ASSERT_TRUE(r.rows[1].has_base);
    EXPECT_EQ(r.rows[1].base.platform, "arm");
    EXPECT_EQ(r.rows[1].base.stat, "a.b");
    EXPECT_EQ(r.rows[1].base.per, "a.n");
}

TEST_F(ReproductionTest, SaysWhatIsWrongAndWhere)
{
    EXPECT_EQ(error_of("title", "tittle"),
              "2:1: unknown key 'tittle' in a reproduction (did you mean 'title'?)");
    EXPECT_EQ(error_of("schema: 1", "schema: 2"),
              "1:9: schema: '2' is out of bounds: must be a whole number from 1 to 1");
    EXPECT_EQ(error_of("source: nobody\n", ""), "1:1: the reproduction has no 'source'");
    EXPECT_EQ(error_of("T.csv", "U.csv"), "4:12: no such file: U.csv");
    EXPECT_NE(error_of("{t: tiny}", "{t: tin}")
                  .find("5:18: no experiment 'tin' (did you mean "
                        "'tiny'?)"),
              std::string::npos);
    EXPECT_EQ(error_of("role: calibrate", "role: calibrat"),
              "8:11: unknown role 'calibrat' (did you mean 'calibrate'?): calibrate or predict");
    EXPECT_EQ(error_of("unit: us", "unit: pages"),
              "10:54: there is no rule that makes 'pages' of 'ns'");
    EXPECT_NE(error_of("mode: two", "mode: six").find("has no row with mode=six"),
              std::string::npos);
    EXPECT_EQ(error_of("per: 4", "per: none"), "10:63: per: 'none' is no number above 0");
    EXPECT_EQ(error_of("per: 4", "per: 0"), "10:63: per: '0' is no number above 0");
    EXPECT_EQ(error_of("stat: a.b}", "stats: a.b}"),
              "11:53: unknown key 'stats' in simulated (did you mean 'stat'?)");
    EXPECT_EQ(error_of(", stat: a.b}", "}"), "11:16: simulated has no 'stat'");
    EXPECT_EQ(error_of("{platform: x86, sweep", "{experiment: u, platform: x86, sweep"),
              "11:16: no experiment 'u' is named above");
    EXPECT_EQ(error_of("5%", "5"), "12:16: tolerance: '5' must be like 10%");
    EXPECT_EQ(error_of("5%", "-5%"), "12:16: tolerance: '-5%' must be like 10%");
    EXPECT_EQ(error_of("role: predict", "role: calibrate"),
              "13:3: the row 'second' calibrates, but nothing is published for it");
    EXPECT_EQ(error_of("    over: {platform: arm}", "    tolerance: 5%"),
              "17:16: a tolerance without a published figure");
    EXPECT_EQ(error_of(good.substr(good.find("  first")), "  {}\n"), "7:3: there is no row");
}

TEST_F(ReproductionTest, WithTwoExperimentsARowSaysWhich)
{
    write("configs/experiments/other.yaml", "schema: 1\n");
    EXPECT_EQ(error_of("{t: tiny}", "{t: tiny, o: other}"),
              "11:16: name the 'experiment': there is more than one");
}

TEST_F(ReproductionTest, IsFoundByName)
{
    std::filesystem::current_path(folder_);
    write("configs/reproduce/T.yaml", good);
    EXPECT_EQ(reproduction_load("T", Paths("")).id, "T");
    EXPECT_EQ(reproduction_load("configs/reproduce/T.yaml", Paths("")).id, "T");
    EXPECT_EQ(user_error_of([] {
                  reproduction_load("U", Paths(""));
              }).compare(0, 27, "nothing published under 'U'"),
              0);
    EXPECT_NE(
        user_error_of([] { reproduction_load("U.yaml", Paths("")); }).find("no such file: U.yaml"),
        std::string::npos);
}

namespace
{

Estimate mean(double value)
{
    return estimate({value});
}

} // namespace

TEST_F(ReproductionTest, ErrorsAreRelativeToWhatIsPublished)
{
    const Reproduction r = parse(good);
    const double published = r.rows[0].published;
    const ReproduceResult above{&r.rows[0], mean(published * 1.06)};
    const ReproduceResult within{&r.rows[0], mean(published * 0.96)};
    const ReproduceResult none{&r.rows[1], mean(1e9)};

    EXPECT_NEAR(above.error(), 0.06, 1e-12);
    EXPECT_TRUE(above.outside());
    EXPECT_NEAR(within.error(), -0.04, 1e-12);
    EXPECT_FALSE(within.outside());
    EXPECT_FALSE(none.has_error());
    EXPECT_FALSE(none.outside());
}

TEST_F(ReproductionTest, TableAndCsvShowBothSidesAndTheInterval)
{
    const Reproduction r = parse(good);
    const double published = r.rows[0].published;
    const std::vector<ReproduceResult> results{
        {&r.rows[0], estimate({published * 1.1, published * 1.1})}, {&r.rows[1], mean(0.5)}};
    const std::string text = reproduce_csv(r, results), table = reproduce_table(r, results);

    EXPECT_EQ(text.substr(0, text.find('\n')),
              "experiment,row,role,unit,published,simulated,ci95,n,error_pct,tolerance_pct");
    EXPECT_NE(text.find("\nT,first,calibrate,us,1.000125,1.1001375,0,2,10,5\n"), std::string::npos)
        << text;
    EXPECT_NE(text.find("\nT,second,predict,ratio,,0.5,,1,,\n"), std::string::npos) << text;
    EXPECT_NE(table.find("10.0 %, not within 5 %"), std::string::npos) << table;
    EXPECT_NE(table.find("1.10 \u00b10"), std::string::npos) << table;
    EXPECT_EQ(table.compare(0, 10, "T: a test\n"), 0) << table;
}
