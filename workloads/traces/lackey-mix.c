/* SPDX-License-Identifier: Apache-2.0 */
/* The program of lackey-mix.lackey.zst: a linked list through all pages of 12 MiB in random order,
 * an array of 2 MiB that is filled and added up twice, and a hash table of 8 MiB that is filled and
 * searched. It calls no library, so that the recording holds little else; README.md has the
 * commands. */
#include <stddef.h>
#include <stdint.h>

#define PAGE 4096u
#define NODES 3072u /* one in each page */
#define ROUNDS 6u
#define CELLS (1u << 18) /* of 8 bytes */
#define SLOTS (1u << 19) /* of 16 bytes */
#define KEYS 12000u
#define SEARCHES 24000u

struct node {
    struct node *next;
};

struct slot {
    uint64_t key;
    uint64_t value;
};

static _Alignas(4096) unsigned char list[NODES][PAGE];
static _Alignas(4096) uint64_t cells[CELLS];
static _Alignas(4096) struct slot slots[SLOTS];
static uint16_t order[NODES];

static uint64_t state = 1;

/* xorshift64 (Marsaglia, 2003). */
static uint64_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Not always the first line of its page. */
static struct node *node_of(unsigned i)
{
    return (struct node *)&list[i][i * 64u % PAGE];
}

/* Sattolo's shuffle gives one cycle through all nodes. */
static struct node *chase(void)
{
    for (unsigned i = 0; i < NODES; i++)
        order[i] = (uint16_t)i;
    for (unsigned i = NODES - 1; i > 0; i--) {
        unsigned j = (unsigned)(draw() % i);
        uint16_t other = order[i];
        order[i] = order[j];
        order[j] = other;
    }
    for (unsigned i = 0; i < NODES; i++)
        node_of(i)->next = node_of(order[i]);
    struct node *n = node_of(0);
    for (unsigned i = 0; i < NODES * ROUNDS; i++)
        n = n->next;
    return n;
}

/* One word of every line; salt keeps the compiler from adding up only once. */
static void fill(void)
{
    for (unsigned i = 0; i < CELLS; i += 8)
        cells[i] = i;
}

static uint64_t sum(uint64_t salt)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < CELLS; i += 8)
        total += cells[i] ^ salt;
    return total;
}

static struct slot *find(uint64_t key)
{
    unsigned i = (unsigned)(key * UINT64_C(0x9e3779b97f4a7c15) >> 45);
    while (slots[i].key != 0 && slots[i].key != key)
        i = (i + 1) % SLOTS;
    return &slots[i];
}

/* Keys are small numbers, so half of the searches find one. */
static uint64_t table(void)
{
    uint64_t found = 0;
    for (uint64_t i = 1; i <= KEYS; i++) {
        struct slot *s = find(i);
        s->key = i;
        s->value += draw();
    }
    for (unsigned i = 0; i < SEARCHES; i++) {
        uint64_t key = draw() % (2u * KEYS) + 1u;
        found += find(key)->key == key;
    }
    return found;
}

int main(void)
{
    struct node *last = chase();
    fill();
    uint64_t total = sum(draw()) + sum(draw());
    uint64_t found = table();
    return last == NULL || total == 0 || found == 0 || found == SEARCHES;
}
