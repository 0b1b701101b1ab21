/* SPDX-License-Identifier: Apache-2.0 */
/* Every operation on every entry that can exist, and under which words of the table each falls.
 * The words are worked out here from operands and tags alone, without the predicate's fields. */
#ifndef TS_TESTS_CONFORMANCE_INVALIDATION_CASES_HPP
#define TS_TESTS_CONFORMANCE_INVALIDATION_CASES_HPP

#include "models/tlb/inval.h"

#include <algorithm>
#include <array>
#include <functional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace invalidation_rules
{

constexpr uint16_t kVm = 1, kOtherVm = 2, kAsid = 5, kOtherAsid = 0;
constexpr uint16_t kEp4ta = 7, kOtherEp4ta = 8, kLinear = 0;
constexpr uint64_t kGiB = UINT64_C(1) << 30, kMiB = UINT64_C(1) << 20, kPage = 4096;
constexpr uint64_t kStart = 3 * kGiB + 4 * kMiB + 7 * kPage; /* the page or range that is named */
constexpr uint64_t kVa = kStart + 0x123;
/* NUM = 0, SCALE = 1. */
constexpr uint64_t kRangePages = 64;
/* Steps of INVLPGB with a stride of 2M. */
constexpr uint32_t kSteps = 2;

/* --- words ------------------------------------------------------------------------------------ */

enum Column {
    kOperation,
    kStage,
    kLevel,
    kVmid,
    kEp4taMatch,
    kAsidMatch,
    kGlobal,
    kThread,
    kAddress,
    kTtl,
    kTg,
    kKeys
};
/* Numbers of words, from 1; 0 is the wildcard. */
using Key = std::array<uint8_t, kKeys>;

inline const std::vector<std::string> &operationNames();

inline const std::vector<std::string> &vocabulary(size_t column)
{
    static const std::array<std::vector<std::string>, kKeys> words = {{
        {},
        {"stage1", "stage2"},
        {"leaf", "walk"},
        {"yes", "no", "host", "none"},
        {"yes", "no", "linear"},
        {"yes", "no"},
        {"yes", "no"},
        {"own", "sibling"},
        {"in", "out", "between"},
        {"none", "right", "wrong"},
        {"none", "right", "wrong"},
    }};
    return column == kOperation ? operationNames() : words[column];
}
enum Word : uint8_t {
    kStage1 = 1,
    kStage2 = 2,
    kLeaf = 1,
    kWalk = 2,
    kYes = 1,
    kNo = 2,
    kHost = 3,
    kVmidNone = 4,
    kLinearWord = 3,
    kOwn = 1,
    kSibling = 2,
    kIn = 1,
    kOut = 2,
    kBetween = 3,
    kNone = 1,
    kRight = 2,
    kWrong = 3
};

/* 0: there is no such word. */
inline uint8_t wordIndex(size_t column, const std::string &word)
{
    const auto &words = vocabulary(column);
    auto at = std::find(words.begin(), words.end(), word);
    return at == words.end() ? uint8_t{0} : static_cast<uint8_t>(at - words.begin() + 1);
}

/* --- entries ---------------------------------------------------------------------------------- */

enum Arch { kIntel, kAmd, kArm, kArchs };

inline bool isWalk(const ts_tlb_tags &t)
{
    return t.kind == TS_TLB_STAGE1_WALK || t.kind == TS_TLB_STAGE2_WALK;
}

inline bool isStage2(const ts_tlb_tags &t)
{
    return t.kind == TS_TLB_STAGE2_LEAF || t.kind == TS_TLB_STAGE2_WALK;
}

/* log2 of the bytes under an entry of a table of the level. */
inline uint32_t levelShift(uint32_t granule, uint32_t level)
{
    static constexpr uint32_t shifts[TS_GRANULES][4] = {
        {12, 21, 30, 39}, {14, 25, 36, 47}, {16, 29, 42, 55}};
    return shifts[granule][level];
}

struct Shape {
    uint8_t size_shift, level;
};

/* Leaves, whole, in pieces (also those of a 4K stage 2) and, on Arm, in contiguous runs. */
inline const std::vector<Shape> &leafShapes(Arch arch, uint32_t granule)
{
    static const std::vector<Shape> x86 = {{12, 0}, {12, 1}, {21, 1}, {12, 2}, {21, 2}, {30, 2}};
    static const std::vector<Shape> arm[TS_GRANULES] = {
        {{12, 0}, {12, 1}, {21, 1}, {12, 2}, {21, 2}, {30, 2}, {16, 0}, {25, 1}, {34, 2}},
        {{14, 0}, {12, 0}, {25, 1}, {14, 1}, {21, 0}, {30, 1}},
        {{16, 0}, {12, 0}, {29, 1}, {16, 1}, {21, 1}, {21, 0}, {34, 1}}};
    return arch == kArm ? arm[granule] : x86;
}

/* The levels below the topmost; 64K tables have three. */
inline std::vector<Shape> tableShapes(uint32_t granule)
{
    std::vector<Shape> all;
    for (uint8_t level = 1; level <= (granule == TS_GRANULE_64K ? 2 : 3); level++)
        all.push_back({static_cast<uint8_t>(levelShift(granule, level)), level});
    return all;
}

/* The page named, both neighbours, the last page of the range and the one after it, the same page
 * of the next table and the one after that, and one that shares only large tables; in pages. */
inline std::vector<uint64_t> distances(uint32_t granule)
{
    uint64_t table = levelShift(granule, 1) - levelShift(granule, 0);
    return {0,
            1,
            UINT64_MAX,
            kRangePages - 1,
            kRangePages,
            UINT64_C(1) << table,
            (UINT64_C(1) << table) + 1,
            600 * kGiB >> levelShift(granule, 0)};
}

/* VMID (VPID, SVM's ASID) and EP4TA that an entry can have. Intel tags stage 2 by EP4TA alone, and
 * VPID 0 has combined mappings too if VPIDs are off; elsewhere the host has no stage 2. */
inline std::vector<std::pair<uint16_t, uint16_t>> owners(Arch arch, bool stage2)
{
    if (arch != kIntel)
        return stage2 ? std::vector<std::pair<uint16_t, uint16_t>>{{kVm, 0}, {kOtherVm, 0}}
                      : std::vector<std::pair<uint16_t, uint16_t>>{
                            {uint16_t{0}, 0}, {kVm, 0}, {kOtherVm, 0}};
    if (stage2)
        return {{uint16_t{0}, kEp4ta}, {uint16_t{0}, kOtherEp4ta}};
    std::vector<std::pair<uint16_t, uint16_t>> all;
    for (uint16_t vmid : {uint16_t{0}, kVm, kOtherVm})
        for (uint16_t ep4ta : {kLinear, kEp4ta, kOtherEp4ta})
            all.push_back({vmid, ep4ta});
    return all;
}

/* The entries of one place: every ASID, global or not, both threads. Only combined leaves can be
 * global; what ASID a stage-2 entry is said to have must not matter. */
inline void addTagged(std::vector<ts_tlb_tags> &all, ts_tlb_tags t)
{
    for (uint16_t asid : {kAsid, kOtherAsid})
        for (bool global : {false, true})
            for (uint8_t thread : {uint8_t{0}, uint8_t{1}}) {
                if (global && t.kind != TS_TLB_COMBINED)
                    continue;
                t.asid = asid;
                t.global = global;
                t.thread = thread;
                all.push_back(t);
            }
}

inline const std::vector<ts_tlb_tags> &entries(Arch arch)
{
    static const auto worlds = [] {
        std::array<std::vector<ts_tlb_tags>, kArchs> made;
        for (Arch a : {kIntel, kAmd, kArm})
            for (uint8_t granule = 0; granule < (a == kArm ? TS_GRANULES : 1); granule++)
                for (int kind = 0; kind < TS_TLB_KINDS; kind++) {
                    ts_tlb_tags t{};
                    t.kind = static_cast<ts_tlb_kind>(kind);
                    t.granule = granule;
                    for (Shape s : isWalk(t) ? tableShapes(granule) : leafShapes(a, granule))
                        for (auto [vmid, ep4ta] : owners(a, isStage2(t)))
                            for (uint64_t distance : distances(granule)) {
                                t.vmid = vmid;
                                t.ep4ta = ep4ta;
                                t.size_shift = s.size_shift;
                                t.level = s.level;
                                t.base = kStart + (distance << levelShift(granule, 0));
                                t.base = t.base >> s.size_shift << s.size_shift;
                                addTagged(made[a], t);
                            }
                }
        return made;
    }();
    return worlds[arch];
}

/* --- operations ------------------------------------------------------------------------------- */

/* One execution: what is built, and what its operands name, said once more. */
struct Execution {
    std::string name;
    Arch arch;
    uint16_t vmid;
    ts_tlb_inval inval;
    uint16_t asid = kAsid;
    bool any_vmid = false, any_asid = false, any_address = false; /* a field is not valid */
    uint64_t start = kStart, bytes = kPage;                       /* of one page or range */
    uint32_t steps = 1;                                           /* such pages, 2M apart */
    uint8_t ttl = 0, tg = 0; /* hints: 0, or 1 + level, 1 + granule */
    uint8_t operation = 0;   /* its word */
};

/* The host uses these for its own mappings as well. */
inline void addX86(std::vector<Execution> &all)
{
    for (uint16_t v : {kVm, uint16_t{0}}) {
        auto add = [&all, v](const char *name, ts_tlb_inval inval) -> Execution & {
            all.push_back({name, kIntel, v, inval});
            return all.back();
        };
        add("INVLPG", ts_inval_invlpg(v, kAsid, kVa));
        add("MOV_CR3", ts_inval_mov_cr3(v, kAsid));
        add("MOV_CR3_NOPCID", ts_inval_mov_cr3_nopcid(v)).asid = 0;
        add("MOV_CR3_NOFLUSH", ts_inval_nothing());
        add("MOV_CR4_PGE", ts_inval_mov_cr4_all(v));
        add("MOV_CR4_SMEP", ts_inval_mov_cr4_pcid(v, kAsid));
        add("INVPCID_0", ts_inval_invpcid_addr(v, kAsid, kVa));
        add("INVPCID_1", ts_inval_invpcid_single(v, kAsid));
        add("INVPCID_2", ts_inval_invpcid_all(v, true));
        add("INVPCID_3", ts_inval_invpcid_all(v, false));
    }
}

inline void addVmx(std::vector<Execution> &all)
{
    all.push_back({"INVVPID_0", kIntel, kVm, ts_inval_invvpid_address(kVm, kVa)});
    all.push_back({"INVVPID_1", kIntel, kVm, ts_inval_invvpid_single(kVm)});
    all.push_back({"INVVPID_2", kIntel, kVm, ts_inval_invvpid_all()});
    all.push_back({"INVVPID_3", kIntel, kVm, ts_inval_invvpid_keep_global(kVm)});
    all.push_back({"INVEPT_1", kIntel, kVm, ts_inval_invept_single(kEp4ta)});
    all.push_back({"INVEPT_2", kIntel, kVm, ts_inval_invept_global()});
    all.push_back({"VMX_TRANSITION_NOVPID", kIntel, 0, ts_inval_vm_transition()});
    all.push_back({"VMX_TRANSITION_VPID", kIntel, kVm, ts_inval_nothing()});
}

/* All settings of the six flags, and with an address all of count and stride. */
inline void addInvlpgb(std::vector<Execution> &all)
{
    for (unsigned flags = 0; flags < 64; flags++)
        for (uint32_t pages : {UINT32_C(1), static_cast<uint32_t>(kRangePages), kSteps})
            for (bool stride : {false, true}) {
                ts_invlpgb op{};
                op.va_valid = flags & 1;
                op.pcid_valid = flags & 2;
                op.asid_valid = flags & 4;
                op.include_global = flags & 8;
                op.final_only = flags & 16;
                op.include_nested = flags & 32;
                op.stride_2m = stride;
                op.vmid = kVm;
                op.pcid = kAsid;
                op.pages = pages;
                op.va = kStart;
                /* 64 pages lie side by side, two steps 2M apart. */
                if ((pages == kSteps) != stride || (!op.va_valid && pages != 1))
                    continue;
                std::string name = op.include_global ? "G" : "";
                name += op.final_only ? "F" : "";
                name += op.include_nested ? "N" : "";
                Execution x{"INVLPGB" + (name.empty() ? "" : "_" + name), kAmd, kVm,
                            ts_inval_invlpgb(&op)};
                x.any_vmid = !op.asid_valid;
                x.any_asid = !op.pcid_valid;
                x.any_address = !op.va_valid;
                x.bytes = stride ? kPage : pages * kPage;
                x.steps = stride ? pages : 1;
                all.push_back(x);
            }
}

inline void addSvm(std::vector<Execution> &all)
{
    all.push_back({"SVM_TLB_CONTROL_0", kAmd, kVm, ts_inval_nothing()});
    all.push_back({"SVM_TLB_CONTROL_1", kAmd, kVm, ts_inval_svm_flush_all()});
    all.push_back({"SVM_TLB_CONTROL_3", kAmd, kVm, ts_inval_svm_flush_asid(kVm)});
    all.push_back({"SVM_TLB_CONTROL_7", kAmd, kVm, ts_inval_svm_flush_asid_nonglobal(kVm)});
    all.push_back({"INVLPGA", kAmd, kVm, ts_inval_invlpga(kVm, kVa)});
    addInvlpgb(all);
}

/* A page by address, with every TTL: none, a level, a granule, or both. */
inline void addPages(std::vector<Execution> &all, const char *name, uint16_t vmid,
                     const std::function<ts_tlb_inval(uint8_t ttl)> &build)
{
    for (uint8_t tg = 0; tg <= TS_GRANULES; tg++)
        for (uint8_t ttl = 0; ttl <= (tg > 1 ? 2 : 3); ttl++) {
            Execution x{name, kArm, vmid, build(ttl)};
            x.ttl = ttl;
            x.tg = tg;
            if (tg != 0) {
                x.inval = ts_inval_with_hint(x.inval, tg, 0);
                x.bytes = UINT64_C(1) << levelShift(tg - 1u, 0);
                x.start = kStart / x.bytes * x.bytes;
            }
            all.push_back(x);
        }
}

/* A range, which has a granule always and a level or none. It starts where the level allows it. */
inline void addRange(std::vector<Execution> &all, const char *name,
                     const std::function<ts_tlb_inval(uint64_t start, uint64_t bytes)> &build)
{
    for (uint8_t tg = 1; tg <= TS_GRANULES; tg++)
        for (uint8_t ttl = 0; ttl <= (tg > 1 ? 2 : 3); ttl++) {
            uint64_t align = UINT64_C(1) << levelShift(tg - 1u, ttl ? ttl - 1u : 0u);
            uint64_t start = kStart / align * align;
            uint64_t bytes = kRangePages << levelShift(tg - 1u, 0);
            Execution x{name, kArm, kVm, ts_inval_with_hint(build(start, bytes), tg, ttl)};
            x.start = start;
            x.bytes = bytes;
            x.ttl = ttl;
            x.tg = tg;
            all.push_back(x);
        }
}

inline void addArm(std::vector<Execution> &all)
{
    all.push_back({"TLBI_VMALLE1", kArm, kVm, ts_inval_tlbi_vmalle1(kVm)});
    all.push_back({"TLBI_VMALLS12E1", kArm, kVm, ts_inval_tlbi_vmalls12e1(kVm)});
    all.push_back({"TLBI_ALLE1", kArm, kVm, ts_inval_tlbi_alle1()});
    all.push_back({"TLBI_ALLE2", kArm, 0, ts_inval_tlbi_alle2()});
    all.push_back({"TLBI_ASIDE1", kArm, kVm, ts_inval_tlbi_aside1(kVm, kAsid)});
    for (bool last : {false, true}) {
        auto va = [last](uint16_t v) {
            return [v, last](uint8_t ttl) { return ts_inval_tlbi_vae1(v, kAsid, kVa, last, ttl); };
        };
        addPages(all, last ? "TLBI_VALE1" : "TLBI_VAE1", kVm, va(kVm));
        addPages(all, last ? "TLBI_VALE2" : "TLBI_VAE2", 0, va(0));
        addPages(all, last ? "TLBI_VAALE1" : "TLBI_VAAE1", kVm,
                 [last](uint8_t ttl) { return ts_inval_tlbi_vaae1(kVm, kVa, last, ttl); });
        addPages(all, last ? "TLBI_IPAS2LE1" : "TLBI_IPAS2E1", kVm,
                 [last](uint8_t ttl) { return ts_inval_tlbi_ipas2e1(kVm, kVa, last, ttl); });
        addRange(all, last ? "TLBI_RVALE1" : "TLBI_RVAE1", [last](uint64_t start, uint64_t bytes) {
            return ts_inval_tlbi_rvae1(kVm, kAsid, start, bytes, last);
        });
        addRange(all, last ? "TLBI_RVAALE1" : "TLBI_RVAAE1",
                 [last](uint64_t start, uint64_t bytes) {
                     return ts_inval_tlbi_rvaae1(kVm, start, bytes, last);
                 });
        addRange(all, last ? "TLBI_RIPAS2LE1" : "TLBI_RIPAS2E1",
                 [last](uint64_t start, uint64_t bytes) {
                     return ts_inval_tlbi_ripas2e1(kVm, start, bytes, last);
                 });
    }
}

inline const std::vector<Execution> &executions()
{
    static const std::vector<Execution> made = [] {
        std::vector<Execution> all;
        addX86(all);
        addVmx(all);
        addSvm(all);
        addArm(all);
        std::vector<std::string> names;
        for (Execution &x : all) {
            auto at = std::find(names.begin(), names.end(), x.name);
            x.operation = static_cast<uint8_t>(at - names.begin() + 1);
            if (at == names.end())
                names.push_back(x.name);
        }
        return all;
    }();
    return made;
}

inline const std::vector<std::string> &operationNames()
{
    static const std::vector<std::string> names = [] {
        std::vector<std::string> all;
        for (const Execution &x : executions())
            if (x.operation > all.size())
                all.push_back(x.name);
        return all;
    }();
    return names;
}

/* --- the words of a case ---------------------------------------------------------------------- */

/* The whole page of a leaf, even of one cached in pieces; a contiguous run; the reach of a table.
 */
inline uint8_t addressWord(const Execution &x, const ts_tlb_tags &t)
{
    if (x.any_address)
        return kIn;
    uint32_t shift = std::max<uint32_t>(t.size_shift, levelShift(t.granule, t.level));
    uint64_t bytes = UINT64_C(1) << shift;
    uint64_t first = t.base / bytes * bytes;
    auto overlaps = [first, bytes](uint64_t start, uint64_t end) {
        return first < end && first + bytes > start;
    };
    for (uint32_t step = 0; step < x.steps; step++)
        if (overlaps(x.start + step * 2 * kMiB, x.start + step * 2 * kMiB + x.bytes))
            return kIn;
    return overlaps(x.start, x.start + (x.steps - 1) * 2 * kMiB) ? kBetween : kOut;
}

/* A level is right for the tables above it. */
inline uint8_t ttlWord(const Execution &x, const ts_tlb_tags &t)
{
    if (x.ttl == 0)
        return kNone;
    int hinted = x.ttl - 1;
    return (isWalk(t) ? t.level > hinted : t.level == hinted) ? kRight : kWrong;
}

inline Key keyOf(const Execution &x, const ts_tlb_tags &t)
{
    uint8_t vmid = kVmidNone;
    if (x.arch != kIntel || !isStage2(t))
        vmid = x.any_vmid || t.vmid == x.vmid ? kYes : t.vmid == 0 ? kHost : kNo;
    uint8_t ep4ta = t.ep4ta == kLinear ? kLinearWord : t.ep4ta == kEp4ta ? kYes : kNo;
    uint8_t tg = x.tg == 0 ? kNone : x.tg == t.granule + 1 ? kRight : kWrong;
    return {x.operation,
            isStage2(t) ? kStage2 : kStage1,
            isWalk(t) ? kWalk : kLeaf,
            vmid,
            ep4ta,
            x.any_asid || t.asid == x.asid ? kYes : kNo,
            t.global ? kYes : kNo,
            t.thread == 0 ? kOwn : kSibling,
            addressWord(x, t),
            ttlWord(x, t),
            tg};
}

inline std::string describe(const Execution &x, const ts_tlb_tags &t)
{
    std::ostringstream s;
    Key key = keyOf(x, t);
    for (size_t c = 0; c < kKeys; c++)
        s << vocabulary(c)[key[c] - 1u] << ' ';
    s << "(by vmid " << x.vmid << " ttl " << int{x.ttl} << " tg " << int{x.tg} << "; entry vmid "
      << t.vmid << " ep4ta " << t.ep4ta << " asid " << t.asid << " granule " << int{t.granule}
      << " size 2^" << int{t.size_shift} << " level " << int{t.level} << " base 0x" << std::hex
      << t.base << ')';
    return s.str();
}

} // namespace invalidation_rules

#endif
