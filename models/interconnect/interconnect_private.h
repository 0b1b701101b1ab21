/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of struct ts_interconnect; for interconnect*.c only. */
#ifndef TS_MODELS_INTERCONNECT_PRIVATE_H
#define TS_MODELS_INTERCONNECT_PRIVATE_H

#include "models/interconnect/fabric.h"
#include "models/interconnect/interconnect.h"
#include "sim/rng.h"

/* A message's reservation of a link: its head comes there at mesh cycle `arrival`, and it has the
 * link for length, to end, in the link's unit. */
struct ic_taken {
    uint64_t arrival;
    uint64_t end;
    uint32_t length; /* 0: no reservation, but what is known of all before */
    uint32_t ticket; /* of the message, modulo 2^32 */
};
enum { IC_TAKEN = 4, IC_SERIAL_FLITS = 64 };

/* One output of a node, or one node's port to or from its router; times in mesh cycles. carry
 * keeps the part of a slot that other traffic has taken beyond whole cycles, so that a busy link
 * loses exactly its share. */
struct ic_link {
    __attribute__((aligned(128))) uint64_t free; /* of two cache lines */
    uint64_t carry;
    uint32_t
        last; /* express: which of these comes last, modulo IC_TAKEN; those before it, before */
    struct ic_taken taken[IC_TAKEN]; /* of plans too; the others end by free */
};

struct ic_route {
    uint16_t neighbour;
    uint16_t port;
};

struct ic_flit;

struct ts_interconnect {
    struct ts_engine *engine;
    const struct ts_fabric_ops *fabric;
    struct ts_interconnect_params params;
    struct ts_clock clock;
    uint64_t share; /* thousandths of a link that are ours */
    uint32_t nodes;
    uint32_t per_socket;
    uint32_t sockets;
    uint32_t ports;
    uint32_t gateway;       /* within each socket */
    struct ic_route *route; /* [at * per_socket + dst], the same for every socket */
    uint16_t *socket;       /* of each node */
    struct ic_link *inject;
    struct ic_link *eject;
    struct ic_link *out;          /* [node * ports + port] */
    struct ic_link *serial;       /* [from socket * sockets + to socket], in ps */
    struct ic_flit *flit;         /* NULL: message by message */
    struct ts_rng rng;            /* of the jitter */
    const struct ts_steps *steps; /* NULL: nobody asks */
    uint64_t *last; /* [src * nodes + dst]: cycle of the last delivery; NULL: no jitter */
    ts_time serial_ps[IC_SERIAL_FLITS]; /* of messages of so many flits on the link of sockets */
    struct ic_plan *plans; /* of messages that have reserved links; NULL: all go hop by hop */
    uint64_t *plan_links;  /* of each plan the bits of its links; 0: it is free */
    uint32_t *free_plans;  /* the last max_plans - nplans of the array, the next one last */
    uint32_t nplans, max_plans;
    uint32_t plans_top; /* behind the last one that is not free */
    struct ts_interconnect_stats stats;
};

/* interconnect.c */
/* First cycle at or after ready at which the link takes the message. *slots: cycles that its flits
 * need on it. */
uint64_t ic_link_take(struct ts_interconnect *ic, struct ic_link *link, uint64_t ready,
                      uint32_t flits, uint64_t *slots);
/* The event of the message, among others of that cycle in the order of sending. */
void ic_call_at(struct ts_interconnect *ic, struct ts_msg *msg, ts_event_fn *fn, uint64_t cycle);
/* The same, and the head is somewhere at that cycle. */
void ic_schedule_at(struct ts_interconnect *ic, struct ts_msg *msg, ts_event_fn *fn,
                    uint64_t cycle);
ts_time ic_serial_ps(const struct ts_interconnect *ic, uint32_t flits);
/* Hands the message over, at the time of the event. */
void ic_on_delivered(struct ts_engine *engine, struct ts_event *event);
/* From the gateway of msg->at's socket, where the message is at msg->cycle, to that of the
 * destination's, where `then` is called. */
void ic_cross(struct ts_interconnect *ic, struct ts_msg *msg, ts_event_fn *then);
uint32_t ic_hop_count(const struct ts_interconnect *ic, uint32_t from, uint32_t to);

/* interconnect_express.c */
bool ic_express_create(struct ts_interconnect *ic);
void ic_express_destroy(struct ts_interconnect *ic);
/* On from msg->at, where the head comes at msg->cycle, in the future. */
void ic_express_send(struct ts_interconnect *ic, struct ts_msg *msg);
/* All that the message has reserved lies behind it. */
void ic_express_end(struct ts_interconnect *ic, struct ts_msg *msg);
/* Brings the statistics up to now. */
void ic_express_settle(struct ts_interconnect *ic);

/* interconnect_flit.c */
enum ts_status ic_flit_check_params(const struct ts_interconnect_params *params,
                                    const struct ts_topology_params *topology,
                                    struct ts_error *err);
enum ts_status ic_flit_create(struct ts_interconnect *ic, struct ts_error *err);
void ic_flit_destroy(struct ts_interconnect *ic);
void ic_flit_send(struct ts_interconnect *ic, struct ts_msg *msg);
ts_time ic_flit_arrival(const struct ts_interconnect *ic, uint32_t src, uint32_t dst,
                        uint32_t flits, ts_time sent);
uint32_t ic_flit_routers(const struct ts_interconnect *ic); /* of a socket */
uint32_t ic_flit_buffered(const struct ts_interconnect *ic, uint32_t router);
enum ts_status ic_flit_check(const struct ts_interconnect *ic, struct ts_error *err);

#endif
