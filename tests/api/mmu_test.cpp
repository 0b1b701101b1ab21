// SPDX-License-Identifier: Apache-2.0
// tlbstorm.h from outside: one MMU over page tables in the test's memory.
#include <tlbstorm.h>

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace
{

struct Memory {
    std::map<uint64_t, uint64_t> words;
    std::vector<uint64_t> walks; // addresses read by walks
    uint64_t next = 0x100000;
    uint64_t broken = UINT64_MAX; // a bus error there
    bool race = false;            // somebody else writes before each update

    static bool read(void *user, uint64_t address, tlbstorm_read_kind kind, uint64_t *value)
    {
        auto *m = static_cast<Memory *>(user);
        if (address == m->broken)
            return false;
        if (kind == TLBSTORM_READ_WALK)
            m->walks.push_back(address);
        const auto it = m->words.find(address);
        *value = it == m->words.end() ? 0 : it->second;
        return true;
    }
    static bool update(void *user, uint64_t address, uint64_t old, uint64_t value)
    {
        auto *m = static_cast<Memory *>(user);
        if (m->race || m->words[address] != old)
            return false;
        m->words[address] = value;
        return true;
    }

    // Puts entry where va's leaf of the level goes; tables on the way as `link` has it. Returns its
    // address.
    uint64_t put(uint64_t root, uint32_t levels, uint32_t page_shift, uint64_t va, uint32_t level,
                 uint64_t entry, uint64_t link)
    {
        const uint32_t bits = page_shift - 3;
        uint64_t table = root;
        for (uint32_t l = levels - 1;; l--) {
            const uint64_t index = va >> (page_shift + bits * l) & ((1u << bits) - 1);
            const uint64_t at = table + 8 * index;
            if (l == level) {
                words[at] = entry;
                return at;
            }
            if (words[at] == 0) {
                words[at] = next | link;
                next += UINT64_C(1) << page_shift;
            }
            table = words[at] & UINT64_C(0x000ffffffffff000);
        }
    }
};

struct Destroy {
    void operator()(tlbstorm_mmu *mmu) const
    {
        tlbstorm_mmu_destroy(mmu);
    }
};
using Mmu = std::unique_ptr<tlbstorm_mmu, Destroy>;

Mmu make(Memory *memory, tlbstorm_page_format format, uint32_t levels = 0,
         std::vector<const char *> settings = {}, bool elsewhere = false)
{
    tlbstorm_mmu_config config = {};
    config.format = format;
    config.levels = levels;
    config.settings = settings.data();
    config.nsettings = settings.size();
    config.memory = {Memory::read, Memory::update, memory};
    config.reads_take_time_elsewhere = elsewhere;
    tlbstorm_mmu *mmu = nullptr;
    tlbstorm_error err = {};
    EXPECT_EQ(tlbstorm_mmu_create(&mmu, &config, &err), TLBSTORM_OK) << err.message;
    return Mmu(mmu);
}

tlbstorm_access look(const Mmu &mmu, const tlbstorm_context &context, uint64_t va,
                     tlbstorm_access_kind kind = TLBSTORM_READ)
{
    tlbstorm_access out;
    tlbstorm_mmu_access(mmu.get(), &context, va, kind, 0, &out);
    return out;
}

uint64_t stat(const Mmu &mmu, const char *name)
{
    uint64_t value = 0;
    EXPECT_EQ(tlbstorm_mmu_stat(mmu.get(), name, &value, nullptr), TLBSTORM_OK);
    return value;
}

constexpr uint64_t P = 1, RW = 2, A = 0x20, D = 0x40, PS = 0x80, G = 0x100;

struct Shape {
    tlbstorm_page_format format;
    uint32_t levels, page_shift, leaf_levels;
};
const Shape shapes[] = {
    {TLBSTORM_X86_64, 4, 12, 3},    {TLBSTORM_X86_64, 5, 12, 3},    {TLBSTORM_ARM64_4K, 4, 12, 3},
    {TLBSTORM_ARM64_16K, 4, 14, 2}, {TLBSTORM_ARM64_64K, 3, 16, 2},
};

// The leaf of each level of each format: as many fetches as there are levels above it and itself,
// the physical address, and the size.
TEST(MmuAlone, WalksEveryFormat)
{
    for (const Shape &s : shapes) {
        const bool x86 = s.format == TLBSTORM_X86_64;
        for (uint32_t level = 0; level < s.leaf_levels; level++) {
            SCOPED_TRACE(std::to_string(s.format) + " level " + std::to_string(level));
            Memory memory;
            const Mmu mmu = make(&memory, s.format, s.levels);
            const uint64_t shift = s.page_shift + uint64_t(s.page_shift - 3) * level;
            const uint64_t va = (UINT64_C(5) << shift) + 0x123, pa = UINT64_C(9) << shift;
            const uint64_t leaf = x86         ? pa | P | RW | A | (level ? PS : 0)
                                  : level > 0 ? pa | 1 | 1 << 10
                                              : pa | 3 | 1 << 10;
            const uint64_t at =
                memory.put(0x10000, s.levels, s.page_shift, va, level, leaf, x86 ? P | RW : 3);
            const tlbstorm_context context = {0, 1, 0x10000};
            const tlbstorm_access first = look(mmu, context, va);
            ASSERT_EQ(first.result, TLBSTORM_TRANSLATED);
            EXPECT_EQ(first.pa, pa + 0x123);
            EXPECT_EQ(first.leaf_bytes, UINT64_C(1) << shift);
            EXPECT_EQ(first.global, !x86); // nG is clear
            EXPECT_EQ(memory.walks.size(), s.levels - level);
            EXPECT_EQ(memory.walks.back(), at);
            EXPECT_EQ(memory.walks.front() & ~UINT64_C(0xffff), 0x10000u);
            const tlbstorm_access second = look(mmu, context, va + 1);
            EXPECT_TRUE(second.from_tlb);
            EXPECT_EQ(second.pa, pa + 0x124);
            EXPECT_EQ(memory.walks.size(), s.levels - level);
            tlbstorm_access debug;
            ASSERT_TRUE(tlbstorm_mmu_translate(mmu.get(), &context, va, &debug));
            EXPECT_EQ(debug.pa, first.pa);
            EXPECT_EQ(memory.walks.size(), s.levels - level) << "a debugger's look is no walk";
        }
    }
}

TEST(MmuAlone, ALevelThatHoldsNoLeafFaults)
{
    Memory memory;
    const Mmu x86 = make(&memory, TLBSTORM_X86_64);
    const Mmu arm = make(&memory, TLBSTORM_ARM64_4K);
    // PS of a PML4 entry is reserved; here its table is followed.
    memory.put(0x10000, 4, 12, 0, 3, 0x20000 | P | PS, 0);
    EXPECT_EQ(look(x86, {0, 0, 0x10000}, 0).result, TLBSTORM_FAULT);
    EXPECT_EQ(memory.walks.size(), 2u);
    // A block of 512 GiB, and 0b01 at the last level.
    memory.put(0x30000, 4, 12, 0, 3, UINT64_C(1) << 40 | 1, 3);
    EXPECT_EQ(look(arm, {0, 0, 0x30000}, 0).result, TLBSTORM_FAULT);
    memory.put(0x50000, 4, 12, 0, 0, 0x7000 | 1, 3);
    EXPECT_EQ(look(arm, {0, 0, 0x50000}, 0).result, TLBSTORM_FAULT);
}

TEST(MmuAlone, SetsAccessedAndDirtyByALockedUpdate)
{
    Memory memory;
    const Mmu mmu = make(&memory, TLBSTORM_X86_64);
    const tlbstorm_context context = {0, 0, 0x10000};
    const uint64_t at = memory.put(0x10000, 4, 12, 0x5000, 0, 0x9000 | P | RW | G, P | RW);
    EXPECT_TRUE(look(mmu, context, 0x5000).global);
    EXPECT_EQ(memory.words[at], 0x9000 | P | RW | G | A);
    EXPECT_EQ(stat(mmu, "walks"), 1u);
    // The entry is not known to be dirty: the write walks.
    EXPECT_TRUE(look(mmu, context, 0x5000, TLBSTORM_WRITE).writable);
    EXPECT_EQ(memory.words[at], 0x9000 | P | RW | G | A | D);
    EXPECT_EQ(stat(mmu, "walks"), 2u);
    EXPECT_TRUE(look(mmu, context, 0x5000, TLBSTORM_WRITE).from_tlb);
    EXPECT_EQ(stat(mmu, "ad_updates"), 2u);

    memory.race = true;
    const uint64_t other = memory.put(0x10000, 4, 12, 0x6000, 0, 0xa000 | P | RW, P | RW);
    EXPECT_EQ(look(mmu, context, 0x6000, TLBSTORM_WRITE).result, TLBSTORM_TRANSLATED);
    EXPECT_EQ(memory.words[other], 0xa000 | P | RW);
    EXPECT_EQ(stat(mmu, "ad_updates"), 2u);
}

TEST(MmuAlone, ArmDirtyStateWhereDbmIsSet)
{
    constexpr uint64_t AP2 = 0x80, AF = 0x400, DBM = UINT64_C(1) << 51;
    Memory memory;
    const Mmu mmu = make(&memory, TLBSTORM_ARM64_4K);
    const tlbstorm_context context = {0, 0, 0x10000};
    const uint64_t clean = memory.put(0x10000, 4, 12, 0x1000, 0, 0x9000 | 3 | AP2 | DBM, 3);
    const uint64_t fixed = memory.put(0x10000, 4, 12, 0x2000, 0, 0xa000 | 3 | AP2, 3);
    EXPECT_EQ(look(mmu, context, 0x1000).result, TLBSTORM_TRANSLATED);
    EXPECT_EQ(memory.words[clean], 0x9000 | 3 | AP2 | DBM | AF);
    EXPECT_EQ(look(mmu, context, 0x1000, TLBSTORM_WRITE).result, TLBSTORM_TRANSLATED);
    EXPECT_EQ(memory.words[clean], 0x9000 | 3 | DBM | AF);
    EXPECT_EQ(look(mmu, context, 0x2000, TLBSTORM_WRITE).result, TLBSTORM_FAULT);
    EXPECT_EQ(memory.words[fixed], 0xa000u | 3 | AP2);
}

TEST(MmuAlone, FaultsAndBusErrors)
{
    Memory memory;
    const Mmu mmu = make(&memory, TLBSTORM_X86_64);
    const tlbstorm_context context = {0, 0, 0x10000};
    memory.put(0x10000, 4, 12, 0x5000, 0, 0x9000 | P, P | RW);
    EXPECT_EQ(look(mmu, context, 0x6000).result, TLBSTORM_FAULT);
    EXPECT_EQ(look(mmu, context, 0x5000).result, TLBSTORM_TRANSLATED);
    memory.broken = 0x10000;
    EXPECT_TRUE(look(mmu, context, 0x5000).from_tlb);
    // A fault drops what the walk caches hold for its address (SDM vol. 3A, 4.10.4.1).
    EXPECT_EQ(look(mmu, context, 0x5000, TLBSTORM_WRITE).result, TLBSTORM_FAULT);
    EXPECT_EQ(look(mmu, context, 0x5000).result, TLBSTORM_BUS_ERROR);
    memory.broken = UINT64_MAX;
    EXPECT_EQ(look(mmu, context, 0x6000).result, TLBSTORM_FAULT) << "the error is of one access";
}

TEST(MmuAlone, TimeOfReadsIsCountedOnce)
{
    Memory memory;
    const tlbstorm_context context = {0, 0, 0x10000};
    memory.put(0x10000, 4, 12, 0x5000, 0, 0x9000 | P | RW | A, P | RW);
    const std::vector<const char *> settings = {"mmu.fetch_cycles=100cycles",
                                                "mmu.leaf_fetch_cycles=1000cycles"};
    const Mmu counted = make(&memory, TLBSTORM_X86_64, 4, settings);
    const Mmu bus = make(&memory, TLBSTORM_X86_64, 4, settings, true);
    EXPECT_EQ(look(counted, context, 0x5000).cycles, look(bus, context, 0x5000).cycles + 1300);
}

TEST(MmuAlone, RefusesWhatThereIsNot)
{
    Memory memory;
    tlbstorm_mmu *mmu = nullptr;
    tlbstorm_error err = {};
    const char *setting = "mmu.l2_entriess=8";
    tlbstorm_mmu_config config = {};
    config.memory = {Memory::read, nullptr, &memory};
    config.levels = 3;
    EXPECT_EQ(tlbstorm_mmu_create(&mmu, &config, &err), TLBSTORM_ERR_USER);
    config.levels = 0;
    config.settings = &setting;
    config.nsettings = 1;
    EXPECT_EQ(tlbstorm_mmu_create(&mmu, &config, &err), TLBSTORM_ERR_USER);
    EXPECT_NE(std::string(err.message).find("mmu.l2_entries'"), std::string::npos) << err.message;
    setting = "mmu.l2_entries=7x";
    EXPECT_EQ(tlbstorm_mmu_create(&mmu, &config, &err), TLBSTORM_ERR_USER);
    EXPECT_EQ(mmu, nullptr);
}

// tlbstorm_inval_covers and the TLB agree on what goes, for random translations and invalidations.
TEST(MmuAlone, CoversIsWhatGoes)
{
    std::mt19937_64 random(1);
    uint64_t gone = 0, stayed = 0;
    for (int round = 0; round < 3000; round++) {
        Memory memory;
        const Mmu mmu = make(&memory, TLBSTORM_X86_64);
        const bool global = random() % 2, large = random() % 2;
        const uint64_t size = large ? 0x200000 : 0x1000, va = (1 + random() % 4) * size;
        memory.put(0x10000, 4, 12, va, large,
                   (8 * size) | P | RW | A | D | (global ? G : 0) | (large ? PS : 0), P | RW);
        const tlbstorm_context context = {uint16_t(random() % 2), uint16_t(random() % 2), 0x10000};
        const tlbstorm_access access = look(mmu, context, va + 0x10);
        ASSERT_EQ(access.result, TLBSTORM_TRANSLATED);
        const tlbstorm_inval inval = {
            random() % 4 == 0,          random() % 3 == 0,
            random() % 2 == 0,          random() % 4 == 0,
            random() % 2 == 0,          uint16_t(random() % 2),
            uint16_t(random() % 2),     (1 + random() % 4) * size + (random() % 3) * 0x1000,
            (1 + random() % 3) * 0x1000};
        const bool covers = tlbstorm_inval_covers(&inval, context.vmid, context.asid, global,
                                                  va & ~(access.leaf_bytes - 1), access.leaf_bytes);
        EXPECT_GE(tlbstorm_mmu_invalidate(mmu.get(), &inval, 0), 1u);
        tlbstorm_access out;
        ASSERT_EQ(tlbstorm_mmu_probe(mmu.get(), &context, va + 0x10, &out), !covers) << round;
        (covers ? gone : stayed)++;
    }
    EXPECT_GT(gone, 300u);
    EXPECT_GT(stayed, 300u);
}

} // namespace
