// SPDX-License-Identifier: Apache-2.0
// struct tlbstorm_inval and the models' struct ts_tlb_inval, both ways.
#ifndef TS_SIM_API_INVAL_HPP
#define TS_SIM_API_INVAL_HPP

#include "models/tlb/inval.h"
#include "sim/api/tlbstorm.h"

namespace ts_api
{

inline ts_tlb_inval to_core(const tlbstorm_inval &in)
{
    ts_tlb_inval out = {};
    out.kinds = TS_TLB_KIND_BIT(TS_TLB_COMBINED) | TS_TLB_KIND_BIT(TS_TLB_STAGE1_WALK);
    out.any_vmid = in.any_vmid;
    out.vmid = in.vmid;
    out.all_addresses = in.all_addresses;
    out.last_level_only = in.last_level;
    out.start = in.start;
    out.length = in.length;
    out.asid = in.asid;
    if (in.any_asid)
        out.asid_rule = in.keep_global ? TS_INVAL_ASID_ANY_NONGLOBAL : TS_INVAL_ASID_ANY;
    else
        out.asid_rule = in.keep_global ? TS_INVAL_ASID_MATCH : TS_INVAL_ASID_MATCH_OR_GLOBAL;
    return out;
}

// Of one that to_core has made.
inline tlbstorm_inval from_core(const ts_tlb_inval &in)
{
    tlbstorm_inval out = {};
    out.any_vmid = in.any_vmid;
    out.vmid = in.vmid;
    out.all_addresses = in.all_addresses;
    out.last_level = in.last_level_only;
    out.start = in.start;
    out.length = in.length;
    out.asid = in.asid;
    out.any_asid = in.asid_rule <= TS_INVAL_ASID_ANY_NONGLOBAL;
    out.keep_global =
        in.asid_rule == TS_INVAL_ASID_ANY_NONGLOBAL || in.asid_rule == TS_INVAL_ASID_MATCH;
    return out;
}

} // namespace ts_api

#endif
