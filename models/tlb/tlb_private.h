/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of struct ts_tlb; for the files of this folder only.
 *
 * An entry's tag is one 64-bit word, so that a look-up compares one word a way: 46 bits of page
 * number and size, 18 bits of address-space number. An address space is what invalidations by tag
 * select: {kind, VMID, ASID or global}. It gets its number when its first entry comes, and loses it
 * when it is flushed: entries that still carry the number are dead at once, in constant time. Dead
 * entries count nowhere and are invalid ways for a fill; their numbers are used again only after
 * ts_tlb_compact_ has removed the last of them. */
#ifndef TS_MODELS_TLB_PRIVATE_H
#define TS_MODELS_TLB_PRIVATE_H

#include "models/tlb/tlb.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define TLB_NONE UINT32_MAX
#define TLB_SPACE_SHIFT 46u
#define TLB_CODE_MASK ((UINT64_C(1) << TLB_SPACE_SHIFT) - 1)
#define TLB_ENTRIES_MAX (1u << 16) /* as many space numbers and some spare fit in 18 bits */
#define TLB_VMID_LISTS 64u

struct tlb_space {
    uint64_t key; /* kind | global << 2 | asid << 3 | vmid << 19 */
    uint32_t count;
    uint32_t pieces;
    uint32_t hash_next;
    uint32_t vmid_next, vmid_prev;
    bool live;
};

/* Numbers of the spaces a context may hit, in tag position; 0: there is none. */
struct tlb_memo {
    uint64_t key; /* of the non-global space; UINT64_MAX: empty */
    uint64_t own, global;
};

/* A page size: shift, and the parts of tlb_code that depend on it only. */
struct tlb_size {
    uint64_t keep, one;
    uint32_t shift;
};

struct ts_tlb {
    /* What a hit reads comes first. */
    uint32_t ways, sets;
    uint32_t state_words; /* replacement state of a set */
    uint32_t lanes;       /* signatures of a set: ways, rounded up to whole groups */
    uint32_t nactive;     /* page sizes that came since the structure was last empty, ascending */
    struct tlb_size active[TS_TLB_SIZES_MAX];
    uint64_t *tags;       /* 0: invalid; [set * ways + way] */
    uint16_t *signatures; /* hash of the tag that was last there; [set * lanes + way] */
    struct ts_tlb_entry *entries;
    uint64_t *replacement; /* state_words a set */
    void (*on_hit)(uint64_t *state, uint32_t ways, uint32_t way);
    struct ts_tlb_counters counters;
    struct tlb_memo memo; /* of the last look-up */

    const struct ts_replacement_ops *policy;
    struct ts_rng rng;
    uint32_t total;
    uint8_t nsizes;
    uint8_t size_shift[TS_TLB_SIZES_MAX];
    uint32_t valid;  /* live entries */
    uint32_t dead;   /* tags in use whose space is gone */
    uint32_t pieces; /* live entries that are pieces of a larger page */
    uint32_t by_kind[TS_TLB_KINDS];
    uint32_t *used; /* tags in use, dead ones too, of each set */

    struct tlb_space *spaces; /* number 0 is never used */
    uint32_t nspaces;
    uint32_t nfree;
    uint32_t *free_spaces;
    uint32_t *space_head; /* hash of keys */
    uint32_t space_bits;
    uint32_t vmid_head[TLB_VMID_LISTS];
    uint64_t vmid_lists; /* bit i: list i is not empty */
};

/* A place in the structure: the slot is set * ways + way. */
struct tlb_place {
    uint32_t set, way;
};

static inline bool tlb_is_stage2(uint32_t kind)
{
    return kind >= TS_TLB_STAGE2_LEAF;
}

static inline uint64_t tlb_space_key(uint32_t kind, uint16_t vmid, uint16_t asid, bool global)
{
    return (uint64_t)kind | (uint64_t)global << 2 | (uint64_t)asid << 3 | (uint64_t)vmid << 19;
}

static inline uint32_t tlb_key_kind(uint64_t key)
{
    return (uint32_t)(key & 3u);
}

static inline uint16_t tlb_key_vmid(uint64_t key)
{
    return (uint16_t)(key >> 19);
}

/* Page number and size in one number: the bits of the page number, then a one where the offset
 * starts. No two pages, of whatever sizes, have the same. */
static inline struct tlb_size tlb_size_of(uint32_t shift)
{
    struct tlb_size size;
    size.shift = shift;
    size.one = UINT64_C(1) << (shift - 12u);
    size.keep = ~(2u * size.one - 1u) & TLB_CODE_MASK;
    return size;
}

static inline uint64_t tlb_code(uint64_t address, const struct tlb_size *size)
{
    return ((address >> 11) & size->keep) | size->one;
}

/* 57 bits, sign-extended. The code above drops the rest. */
static inline bool tlb_canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 7) >> 7) == address;
}

static inline uint32_t tlb_hash(uint64_t key, uint32_t bits)
{
    return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> (64u - bits));
}

static inline uint32_t tlb_vmid_list(uint16_t vmid)
{
    return vmid & (TLB_VMID_LISTS - 1);
}

static inline uint32_t tlb_set_of(const struct ts_tlb *t, uint64_t address, uint32_t shift)
{
    return (uint32_t)(address >> shift) & (t->sets - 1);
}

static inline bool tlb_is_live(const struct ts_tlb *t, uint64_t tag)
{
    return tag != 0 && t->spaces[tag >> TLB_SPACE_SHIFT].live;
}

static inline bool tlb_is_piece(const struct ts_tlb_tags *tags)
{
    return (tags->kind == TS_TLB_COMBINED || tags->kind == TS_TLB_STAGE2_LEAF) &&
           12u + 9u * tags->level > tags->size_shift;
}

/* tlb_space.c */
uint32_t ts_tlb_space_find_(const struct ts_tlb *t, uint64_t key); /* 0: none */
uint32_t ts_tlb_space_get_(struct ts_tlb *t, uint64_t key);        /* makes it if needed */
uint32_t ts_tlb_space_drop_(struct ts_tlb *t, uint32_t number);    /* entries that died */
void ts_tlb_memo_fill_(const struct ts_tlb *t, struct tlb_memo *memo, uint64_t key);
/* Takes a live or dead entry's tag away. */
void ts_tlb_slot_clear_(struct ts_tlb *t, uint32_t slot);
/* Takes a live entry out of all counts, then its tag away. */
void ts_tlb_slot_drop_(struct ts_tlb *t, uint32_t slot);

/* A group of signatures is compared at once; a tag is then compared only where they agree, so the
 * time of a look-up depends neither on the way nor, by a mispredicted branch, on chance. */
#define TLB_GROUP 16u

static inline uint16_t tlb_signature(uint64_t tag)
{
    return (uint16_t)((tag * UINT64_C(0x9e3779b97f4a7c15)) >> 48);
}

/* Bit i: signature i of the group equals s. */
static inline uint32_t tlb_group_match(const uint16_t *group, uint16_t s)
{
#if defined(__SSE2__)
    __m128i want = _mm_set1_epi16((short)s);
    __m128i low = _mm_cmpeq_epi16(_mm_loadu_si128((const __m128i *)(const void *)group), want);
    __m128i high =
        _mm_cmpeq_epi16(_mm_loadu_si128((const __m128i *)(const void *)(group + 8)), want);
    return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high));
#else
    uint32_t match = 0;
    for (uint32_t i = 0; i < TLB_GROUP; i++)
        match |= (uint32_t)(group[i] == s) << i;
    return match;
#endif
}

uint32_t ts_tlb_find_wide_(const struct ts_tlb *t, uint32_t set, uint64_t tag);

/* The way of the set that carries the tag, or TLB_NONE, where a set is one group. */
static inline uint32_t tlb_find_in_group(const struct ts_tlb *t, uint32_t set, uint64_t tag)
{
    const uint64_t *tags = &t->tags[set * t->ways];
    uint32_t match = tlb_group_match(&t->signatures[set * TLB_GROUP], tlb_signature(tag));
    for (; match != 0; match &= match - 1) {
        uint32_t way = (uint32_t)__builtin_ctz(match);
        if (way < t->ways && tags[way] == tag)
            return way;
    }
    return TLB_NONE;
}

static inline uint32_t tlb_find_tag(const struct ts_tlb *t, uint32_t set, uint64_t tag)
{
    return t->lanes == TLB_GROUP ? tlb_find_in_group(t, set, tag) : ts_tlb_find_wide_(t, set, tag);
}

#endif
