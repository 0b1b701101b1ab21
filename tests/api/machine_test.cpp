// SPDX-License-Identifier: Apache-2.0
// tlbstorm.h from outside: machines.
#include <tlbstorm.h>

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace
{

struct Destroy {
    void operator()(tlbstorm_config *config) const
    {
        tlbstorm_config_destroy(config);
    }
    void operator()(tlbstorm_machine *machine) const
    {
        tlbstorm_machine_destroy(machine);
    }
};
using Config = std::unique_ptr<tlbstorm_config, Destroy>;
using Machine = std::unique_ptr<tlbstorm_machine, Destroy>;
using Stats = std::map<std::string, uint64_t>;

const char *const text = R"(
schema: 1
name: api
workload: {kind: mmap_storm, threads: 4, rounds: 2, pages: 32}
machine:
  topology: {sockets: 1, cores_per_socket: 4, threads_per_core: 1}
hypervisor: kvm-6.12
guest: linux-6.12-x86
mechanisms: [native_concurrent, kvm_pv]
set: {run.vcpus: 4}
)";

const char *const bare_text = R"(
schema: 1
name: bare
workload: {kind: mmap_storm}
machine:
  topology: {sockets: 1, cores_per_socket: 4, threads_per_core: 1}
guest: linux-6.12-x86
mechanisms: [native_concurrent]
set: {run.oracle: true}
)";

Config parse(const char *what, std::vector<const char *> settings = {})
{
    tlbstorm_config *config = nullptr;
    tlbstorm_error err = {};
    EXPECT_EQ(tlbstorm_config_parse(&config, what, "api", settings.data(), settings.size(), &err),
              TLBSTORM_OK)
        << err.message;
    return Config(config);
}

Machine make(const Config &config, size_t point = 0)
{
    tlbstorm_machine *machine = nullptr;
    tlbstorm_error err = {};
    EXPECT_EQ(tlbstorm_machine_create(&machine, config.get(), point, &err), TLBSTORM_OK)
        << err.message;
    return Machine(machine);
}

Machine make_injected(const Config &config)
{
    tlbstorm_machine *machine = nullptr;
    tlbstorm_error err = {};
    EXPECT_EQ(tlbstorm_machine_create_injected(&machine, config.get(), 0, &err), TLBSTORM_OK)
        << err.message;
    return Machine(machine);
}

void take(void *user, const char *name, const char *, uint64_t value)
{
    (*static_cast<Stats *>(user))[name] = value;
}

Stats stats_of(const Machine &machine)
{
    Stats stats;
    EXPECT_EQ(tlbstorm_machine_visit_stats(machine.get(), take, &stats, nullptr), TLBSTORM_OK);
    return stats;
}

uint64_t stat(const Machine &machine, const char *name)
{
    uint64_t value = 0;
    tlbstorm_error err = {};
    EXPECT_EQ(tlbstorm_machine_stat(machine.get(), name, &value, &err), TLBSTORM_OK) << err.message;
    return value;
}

TEST(Api, SlicesAndNeighboursChangeNothing)
{
    const Config config = parse(text);
    ASSERT_EQ(tlbstorm_config_points(config.get()), 2u);
    EXPECT_STREQ(tlbstorm_config_point_name(config.get(), 1), "default/kvm_pv/seed=1");
    const Machine whole = make(config);
    ASSERT_EQ(tlbstorm_machine_run(whole.get(), nullptr), TLBSTORM_OK);
    const Machine sliced = make(config), other = make(config, 1);
    uint64_t t = 0;
    while (!tlbstorm_machine_done(sliced.get())) {
        t += 7777777;
        ASSERT_EQ(tlbstorm_machine_run_until(sliced.get(), t, nullptr), TLBSTORM_OK);
        ASSERT_EQ(tlbstorm_machine_run_until(other.get(), t / 2, nullptr), TLBSTORM_OK);
        EXPECT_TRUE(tlbstorm_machine_done(sliced.get()) || tlbstorm_machine_next(sliced.get()) > t);
    }
    EXPECT_GT(stat(whole, "result.shootdowns"), 0u);
    EXPECT_EQ(stats_of(whole), stats_of(sliced));
    EXPECT_EQ(tlbstorm_machine_now(whole.get()), tlbstorm_machine_now(sliced.get()));
}

TEST(Api, MachinesOfSeveralThreads)
{
    Stats stats[3];
    const auto run = [](Stats *out, size_t point) {
        const Config config = parse(text);
        const Machine machine = make(config, point);
        EXPECT_EQ(tlbstorm_machine_run(machine.get(), nullptr), TLBSTORM_OK);
        *out = stats_of(machine);
    };
    std::thread a(run, &stats[0], 1), b(run, &stats[1], 0);
    a.join();
    b.join();
    run(&stats[2], 1);
    EXPECT_EQ(stats[0], stats[2]);
    EXPECT_NE(stats[0], stats[1]);
}

void add_up(void *user, const tlbstorm_shootdown *s)
{
    auto *sums = static_cast<std::vector<uint64_t> *>(user);
    uint64_t parts = 0;
    for (uint64_t part : s->part_ps)
        parts += part;
    EXPECT_EQ(parts, s->total_ps);
    EXPECT_LT(s->initiator, 4u);
    sums->push_back(s->total_ps);
}

TEST(Api, TellsOfEachShootdown)
{
    const Config config = parse(text);
    const Machine machine = make(config);
    std::vector<uint64_t> sums;
    tlbstorm_machine_on_shootdown(machine.get(), add_up, &sums);
    ASSERT_EQ(tlbstorm_machine_run(machine.get(), nullptr), TLBSTORM_OK);
    EXPECT_EQ(sums.size(), stat(machine, "result.shootdowns"));
    EXPECT_STREQ(tlbstorm_path_part_name(0), "send");
}

TEST(Api, ErrorsSayWhereAndWhatWasMeant)
{
    tlbstorm_config *config = nullptr;
    tlbstorm_error err = {};
    const std::string broken = std::string(text) + "\nbaselin: kvm_pv\n";
    EXPECT_EQ(tlbstorm_config_parse(&config, broken.c_str(), "mine", nullptr, 0, &err),
              TLBSTORM_ERR_USER);
    EXPECT_EQ(err.status, TLBSTORM_ERR_USER);
    EXPECT_STREQ(err.file, "mine");
    EXPECT_EQ(err.line, 12u);
    EXPECT_EQ(err.column, 1u);
    EXPECT_NE(std::strstr(err.message, "'baseline'"), nullptr) << err.message;
    const char *setting = "mmu.l2_entrys=4";
    EXPECT_EQ(tlbstorm_config_parse(&config, text, "mine", &setting, 1, &err), TLBSTORM_ERR_USER);
    EXPECT_STREQ(err.file, "--set mmu.l2_entrys");
    EXPECT_NE(std::strstr(err.message, "mmu.l2_entries"), nullptr) << err.message;
    EXPECT_EQ(tlbstorm_config_load(&config, "nowhere.yaml", nullptr, 0, nullptr),
              TLBSTORM_ERR_USER);
    setting = "machine=x86-1s-12t";
    EXPECT_EQ(tlbstorm_config_from_settings(&config, &setting, 1, &err), TLBSTORM_ERR_USER);
    EXPECT_NE(std::strstr(err.message, "'guest'"), nullptr) << err.message;
    EXPECT_EQ(config, nullptr);

    const Config good = parse(text);
    tlbstorm_machine *none = nullptr;
    EXPECT_EQ(tlbstorm_machine_create(&none, good.get(), 2, &err), TLBSTORM_ERR_USER);
    const Machine machine = make(good);
    uint64_t value;
    EXPECT_EQ(tlbstorm_machine_stat(machine.get(), "mmu.walk", &value, &err), TLBSTORM_ERR_USER);
    EXPECT_NE(std::strstr(err.message, "mmu.walks"), nullptr) << err.message;
}

TEST(Api, AFindingComesOnce)
{
    const Config config = parse(text, {"run.limit=20us"});
    const Machine machine = make(config);
    tlbstorm_error err = {};
    EXPECT_EQ(tlbstorm_machine_run(machine.get(), &err), TLBSTORM_ERR_FINDING);
    EXPECT_NE(std::strstr(err.message, "run.limit"), nullptr) << err.message;
    EXPECT_TRUE(tlbstorm_machine_done(machine.get()));
    EXPECT_EQ(tlbstorm_machine_run(machine.get(), &err), TLBSTORM_OK);
}

TEST(Api, AMachineOutlivesItsConfiguration)
{
    Config config = parse(text);
    const Machine machine = make(config);
    config.reset();
    EXPECT_EQ(tlbstorm_machine_run(machine.get(), nullptr), TLBSTORM_OK);
}

class Injected : public ::testing::Test
{
  protected:
    tlbstorm_status inject(uint32_t vcpu, tlbstorm_op op, uint32_t *region = nullptr)
    {
        const tlbstorm_status s = tlbstorm_machine_inject(machine.get(), 0, vcpu, &op, &err);
        if (region)
            *region = op.region;
        return s;
    }
    void settle()
    {
        uint64_t t = tlbstorm_machine_now(machine.get());
        for (uint32_t v = 0; v < 4; v++)
            while (tlbstorm_machine_pending(machine.get(), 0, v) > 0)
                ASSERT_EQ(tlbstorm_machine_run_until(machine.get(), t += 500000, &err), TLBSTORM_OK)
                    << err.message;
    }
    static tlbstorm_op op(tlbstorm_op_kind kind, uint32_t region, uint64_t offset, uint64_t length,
                          bool write = false)
    {
        return tlbstorm_op{kind, region, offset, length, false, write};
    }

    tlbstorm_error err = {};
    Config config = parse(bare_text);
    Machine machine = make_injected(config);
};

TEST_F(Injected, OneFlushForEachLossOfRightsThatOthersMayHold)
{
    uint32_t a = 9, b = 9;
    ASSERT_EQ(tlbstorm_machine_vcpus(machine.get(), 0), 4u);
    ASSERT_EQ(inject(0, op(TLBSTORM_MMAP, 0, 0, 0x4000), &a), TLBSTORM_OK);
    ASSERT_EQ(inject(1, op(TLBSTORM_MMAP, 0, 0, 0x1000), &b), TLBSTORM_OK);
    EXPECT_EQ(a, 0u);
    EXPECT_EQ(b, 1u);
    // vCPU 1 may get there before the mapping does, and waits for it.
    for (uint32_t v = 0; v < 4; v++)
        ASSERT_EQ(inject(v, op(TLBSTORM_TOUCH, a, 0, 0x4000, true)), TLBSTORM_OK);
    settle();
    EXPECT_EQ(stat(machine, "result.shootdowns"), 0u);
    EXPECT_EQ(stat(machine, "result.page_touches"), 16u);
    for (uint32_t v = 0; v < 4; v++)
        EXPECT_EQ(tlbstorm_machine_vcpu_state(machine.get(), 0, v), TLBSTORM_VCPU_RUNNING);
    uint64_t expected = 0;
    for (const tlbstorm_op &loss : {op(TLBSTORM_MADVISE_DONTNEED, a, 0x1000, 0x1000),
                                    op(TLBSTORM_MUNMAP, a, 0x2000, 0x1000)}) {
        ASSERT_EQ(inject(2, loss), TLBSTORM_OK);
        settle();
        EXPECT_EQ(stat(machine, "result.shootdowns"), ++expected);
    }
    tlbstorm_op protect = op(TLBSTORM_MPROTECT, a, 0, 0x1000);
    protect.read_only = true;
    ASSERT_EQ(inject(3, protect), TLBSTORM_OK);
    settle();
    EXPECT_EQ(stat(machine, "result.shootdowns"), ++expected);
    EXPECT_EQ(stat(machine, "guest.mprotects"), 1u);
    tlbstorm_machine_close(machine.get());
    EXPECT_EQ(tlbstorm_machine_run(machine.get(), &err), TLBSTORM_OK) << err.message;
    EXPECT_TRUE(tlbstorm_machine_done(machine.get()));
}

TEST_F(Injected, BeginsAtTheNextSlice)
{
    ASSERT_EQ(tlbstorm_machine_run_until(machine.get(), 12 * TLBSTORM_INJECT_SLICE_PS + 1, &err),
              TLBSTORM_OK);
    ASSERT_EQ(inject(0, op(TLBSTORM_COMPUTE, 0, 0, 100)), TLBSTORM_OK);
    ASSERT_EQ(tlbstorm_machine_run_until(machine.get(), 13 * TLBSTORM_INJECT_SLICE_PS - 1, &err),
              TLBSTORM_OK);
    EXPECT_EQ(tlbstorm_machine_pending(machine.get(), 0, 0), 1u);
    // Interrupts and ticks may make a slice end a little later than it was to.
    ASSERT_EQ(tlbstorm_machine_run_until(machine.get(), 14 * TLBSTORM_INJECT_SLICE_PS, &err),
              TLBSTORM_OK);
    EXPECT_EQ(tlbstorm_machine_pending(machine.get(), 0, 0), 0u);
}

TEST_F(Injected, RefusesWhatThereIsNot)
{
    EXPECT_EQ(inject(0, op(TLBSTORM_TOUCH, 0, 0, 0x1000)), TLBSTORM_ERR_USER);
    EXPECT_NE(std::strstr(err.message, "no region 0"), nullptr) << err.message;
    EXPECT_EQ(inject(4, op(TLBSTORM_MMAP, 0, 0, 0x1000)), TLBSTORM_ERR_USER);
    EXPECT_EQ(inject(0, op(TLBSTORM_MMAP, 0, 0, 0x1001)), TLBSTORM_ERR_USER);
    EXPECT_EQ(inject(0, op(TLBSTORM_MMAP, 0, 0, 0)), TLBSTORM_ERR_USER);
    ASSERT_EQ(inject(0, op(TLBSTORM_MMAP, 0, 0, 0x2000)), TLBSTORM_OK);
    EXPECT_EQ(inject(0, op(TLBSTORM_MUNMAP, 0, 0x1000, 0x2000)), TLBSTORM_ERR_USER);
    EXPECT_EQ(inject(0, op(TLBSTORM_MUNMAP, 0, UINT64_C(0xfffffffffffff000), 0x2000)),
              TLBSTORM_ERR_USER);
    EXPECT_EQ(inject(0, op(static_cast<tlbstorm_op_kind>(7), 0, 0, 0)), TLBSTORM_ERR_USER);
    tlbstorm_machine_close(machine.get());
    EXPECT_EQ(inject(0, op(TLBSTORM_COMPUTE, 0, 0, 1)), TLBSTORM_ERR_USER);
    machine = make(config);
    EXPECT_EQ(inject(0, op(TLBSTORM_COMPUTE, 0, 0, 1)), TLBSTORM_ERR_USER);
}

} // namespace
