/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of struct ts_tlb; for the files of this folder only.
 *
 * An entry's tag is one 64-bit word, so that a look-up compares one word a way: 46 bits of page
 * number and size, 18 bits of address-space number. An address space is what invalidations by tag
 * select: {kind, VMID, ASID or global, EP4TA, thread}, the key of ts_tlb_key. It gets its number
 * when its first entry comes, and loses it when it is flushed: entries that still carry the number
 * are dead at once. A flush of everything starts a new epoch, and with it every space is dead.
 * Dead entries count nowhere and are invalid ways for a fill; their numbers are used again only
 * after compaction has removed the last of them. */
#ifndef TS_MODELS_TLB_PRIVATE_H
#define TS_MODELS_TLB_PRIVATE_H

#include "models/tlb/tlb.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define TLB_NONE UINT32_MAX
#define TLB_SPACE_SHIFT 46u
#define TLB_CODE_MASK ((UINT64_C(1) << TLB_SPACE_SHIFT) - 1)
#define TLB_SPACE_BITS (64u - TLB_SPACE_SHIFT)
#define TLB_SPACE_MASK ((1u << TLB_SPACE_BITS) - 1)
#define TLB_ENTRIES_MAX (1u << 16) /* as many space numbers and some spare fit in 18 bits */

/* How the spaces that an invalidation may match are found. Each index is a hash table of lists. */
enum tlb_index {
    TLB_BY_KEY = 0,
    TLB_BY_CONTEXT = 1, /* stage, VMID, ASID or global */
    TLB_BY_VMID = 2,
    TLB_BY_EP4TA = 3, /* those that have one */
    TLB_INDICES = 4
};

struct tlb_space {
    uint64_t key;
    uint64_t epoch;  /* it is live while this is the structure's; 0: dead or free */
    uint64_t chosen; /* number of the last invalidation that may match some of its entries */
    uint32_t count;
    uint32_t pieces;
    uint32_t place; /* in the structure's list of live spaces */
    struct {
        uint32_t next, prev; /* 0: none */
    } link[TLB_INDICES];
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
    uint32_t ways, set_mask;
    uint32_t row_words, state_at, tags_at; /* of a row, below */
    uint32_t lanes;                        /* signatures of a set: one group, or whole blocks */
    uint32_t nactive;  /* page sizes that came since the structure was last empty, ascending */
    uint64_t way_mask; /* the ways, where a set is not more than a block */
    /* A row for each set: signatures (hashes of the tags that were last there, two bytes a way),
     * replacement state, tags (0: invalid). */
    uint64_t *rows;
    struct ts_tlb_entry *entries; /* [set * ways + way] */
    void (*on_hit)(uint64_t *state, uint32_t ways, uint32_t way);
    uint64_t quick_key;   /* the memo's, where a set is one group; else UINT64_MAX */
    struct tlb_memo memo; /* of the last look-up */
    struct ts_tlb_counters counters;
    struct tlb_size active[TS_TLB_SIZES_MAX];

    const struct ts_replacement_ops *policy;
    struct ts_rng rng;
    void *memory; /* the block of all arrays */
    uint32_t total, sets;
    uint8_t nsizes;
    uint8_t size_shift[TS_TLB_SIZES_MAX];
    uint8_t seen_threads, seen_kinds; /* of all fills ever */
    uint32_t valid;                   /* live entries */
    uint32_t dead;                    /* tags in use whose space is gone */
    uint32_t pieces;                  /* live entries that are pieces of a larger page */
    uint32_t by_kind[TS_TLB_KINDS];
    uint32_t *used; /* tags in use, dead ones too, of each set */

    struct tlb_space *spaces; /* number 0 is never used */
    uint32_t nspaces;
    uint32_t space_bits; /* log2 of nspaces */
    uint64_t epoch;      /* from 1 */
    uint64_t choice;     /* invalidations that had to choose spaces */
    uint32_t *free_spaces;
    uint32_t nfree;
    uint32_t *live; /* numbers of the live spaces, in no particular order */
    uint32_t nlive;
    uint64_t *heads[TLB_INDICES]; /* epoch and number of the first of the list */
};

/* A place in the structure. */
struct tlb_place {
    uint32_t set, way;
};

#define TLB_KEY_GLOBAL (UINT64_C(1) << 2)

static inline bool tlb_is_stage2(uint32_t kind)
{
    return kind >= TS_TLB_STAGE2_LEAF;
}

static inline uint32_t tlb_key_kind(uint64_t key)
{
    return (uint32_t)(key & 3u);
}

static inline uint16_t tlb_key_asid(uint64_t key)
{
    return (uint16_t)(key >> 3);
}

static inline uint16_t tlb_key_vmid(uint64_t key)
{
    return (uint16_t)(key >> 19);
}

static inline uint16_t tlb_key_ep4ta(uint64_t key)
{
    return (uint16_t)(key >> 35);
}

static inline uint8_t tlb_key_thread(uint64_t key)
{
    return (uint8_t)(key >> 51);
}

/* The same context's key for global entries: they have no ASID. */
static inline uint64_t tlb_key_of_global(uint64_t key)
{
    return (key & ~(UINT64_C(0xffff) << 3)) | TLB_KEY_GLOBAL;
}

static inline uint64_t tlb_key_of(const struct ts_tlb_tags *tags)
{
    struct ts_tlb_space space = {tags->vmid, tags->asid, tags->ep4ta, tags->thread};
    uint64_t key = ts_tlb_key(tags->kind, space);
    /* Only leaves of stage 1 can be global. */
    return tags->kind == TS_TLB_COMBINED && tags->global ? tlb_key_of_global(key) : key;
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

static inline uint32_t tlb_set_of(const struct ts_tlb *t, uint64_t address, uint32_t shift)
{
    return (uint32_t)(address >> shift) & t->set_mask;
}

static inline uint64_t *tlb_row(const struct ts_tlb *t, uint32_t set)
{
    return t->rows + (size_t)set * t->row_words;
}

static inline uint16_t *tlb_signatures(const struct ts_tlb *t, uint32_t set)
{
    return (uint16_t *)(void *)tlb_row(t, set);
}

static inline uint64_t *tlb_state(const struct ts_tlb *t, uint32_t set)
{
    return tlb_row(t, set) + t->state_at;
}

static inline uint64_t *tlb_tags(const struct ts_tlb *t, uint32_t set)
{
    return tlb_row(t, set) + t->tags_at;
}

static inline struct ts_tlb_entry *tlb_entry(const struct ts_tlb *t, struct tlb_place at)
{
    return &t->entries[at.set * t->ways + at.way];
}

static inline uint32_t tlb_number(uint64_t tag)
{
    return (uint32_t)(tag >> TLB_SPACE_SHIFT);
}

static inline bool tlb_space_is_live(const struct ts_tlb *t, uint32_t number)
{
    return t->spaces[number].epoch == t->epoch;
}

/* Number 0, of invalid tags, is never live. */
static inline bool tlb_is_live(const struct ts_tlb *t, uint64_t tag)
{
    return tlb_space_is_live(t, tlb_number(tag));
}

static inline bool tlb_is_piece(const struct ts_tlb_tags *tags)
{
    return (tags->kind == TS_TLB_COMBINED || tags->kind == TS_TLB_STAGE2_LEAF) &&
           ts_granule_level_shift(tags->granule, tags->level) > tags->size_shift;
}

/* tlb_space.c */
uint32_t ts_tlb_space_find_(const struct ts_tlb *t, uint64_t key); /* 0: none */
uint32_t ts_tlb_space_get_(struct ts_tlb *t, uint64_t key);        /* makes it if needed */
uint32_t ts_tlb_space_drop_(struct ts_tlb *t, uint32_t number);    /* entries that died */
uint32_t ts_tlb_space_drop_all_(struct ts_tlb *t);                 /* entries that died */
/* First of the list for all keys that agree with this one in what the index looks at; others may
 * be in it as well. */
uint32_t ts_tlb_space_first_(const struct ts_tlb *t, enum tlb_index index, uint64_t key);
void ts_tlb_memo_fill_(const struct ts_tlb *t, struct tlb_memo *memo, uint64_t key);
/* Takes a live or dead entry's tag away. */
void ts_tlb_place_clear_(struct ts_tlb *t, struct tlb_place at);
/* Takes a live entry out of all counts, then its tag away. */
void ts_tlb_place_drop_(struct ts_tlb *t, struct tlb_place at);

/* A group of signatures is compared at once; a tag is then compared only where they agree, so the
 * time of a look-up depends neither on the way nor, by a mispredicted branch, on chance. */
#define TLB_GROUP 16u
#define TLB_BLOCK 64u

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

static inline uint64_t tlb_block_match(const uint16_t *block, uint16_t s)
{
    return tlb_group_match(block, s) | (uint64_t)tlb_group_match(block + TLB_GROUP, s) << 16 |
           (uint64_t)tlb_group_match(block + 2 * TLB_GROUP, s) << 32 |
           (uint64_t)tlb_group_match(block + 3 * TLB_GROUP, s) << 48;
}

/* Ways of a row whose signature is the tag's; for sets of not more than a block. */
static inline uint64_t tlb_set_match(const struct ts_tlb *t, const uint64_t *row, uint64_t tag,
                                     uint32_t lanes)
{
    const uint16_t *signatures = (const uint16_t *)(const void *)row;
    uint16_t s = tlb_signature(tag);
    uint64_t match =
        lanes == TLB_GROUP ? tlb_group_match(signatures, s) : tlb_block_match(signatures, s);
    return match & t->way_mask;
}

uint32_t ts_tlb_find_wide_(const struct ts_tlb *t, uint32_t set, uint64_t tag);

/* The way of the set that carries the tag, or TLB_NONE. */
static inline uint32_t tlb_find_tag(const struct ts_tlb *t, uint32_t set, uint64_t tag)
{
    if (t->lanes > TLB_BLOCK)
        return ts_tlb_find_wide_(t, set, tag);
    const uint64_t *tags = tlb_tags(t, set);
    for (uint64_t match = tlb_set_match(t, tlb_row(t, set), tag, t->lanes); match != 0;
         match &= match - 1) {
        uint32_t way = (uint32_t)__builtin_ctzll(match);
        if (tags[way] == tag)
            return way;
    }
    return TLB_NONE;
}

#endif
