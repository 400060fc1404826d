/* Pointers and recursion: a search tree, a treap with rotations, a heap of events, lists that are reversed and
 * merged, and the queens of a chess board by backtracking. */
#include "start.h"

#define NODES 1200

struct node {
    u32 key, rank;
    struct node *low, *high;
};

struct link {
    u32 value;
    struct link *rest;
};

static struct node pool[2 * NODES];
static struct link links[NODES];
static int used;
static u32 events[NODES + 1];
static int waiting;

static struct node *make(u32 key)
{
    struct node *n = &pool[used++];
    n->key = key;
    n->rank = next();
    n->low = n->high = 0;
    return n;
}

static struct node *insert(struct node *at, u32 key)
{
    if (!at)
        return make(key);
    if (key < at->key)
        at->low = insert(at->low, key);
    else if (key > at->key)
        at->high = insert(at->high, key);
    return at;
}

static struct node *turn_low(struct node *at)
{
    struct node *up = at->low;
    at->low = up->high;
    up->high = at;
    return up;
}

static struct node *turn_high(struct node *at)
{
    struct node *up = at->high;
    at->high = up->low;
    up->low = at;
    return up;
}

static struct node *settle(struct node *at, u32 key)
{
    if (!at)
        return make(key);
    if (key < at->key) {
        at->low = settle(at->low, key);
        if (at->low->rank > at->rank)
            return turn_low(at);
    } else if (key > at->key) {
        at->high = settle(at->high, key);
        if (at->high->rank > at->rank)
            return turn_high(at);
    }
    return at;
}

static int has(const struct node *at, u32 key)
{
    while (at && at->key != key)
        at = key < at->key ? at->low : at->high;
    return at != 0;
}

static int depth(const struct node *at)
{
    if (!at)
        return 0;
    int low = depth(at->low), high = depth(at->high);
    return 1 + (low > high ? low : high);
}

static u64 walk(const struct node *at, u64 sum)
{
    return at ? walk(at->high, walk(at->low, sum) * 31 + at->key) : sum;
}

static void push(u32 when)
{
    int at = ++waiting;
    for (; at > 1 && events[at / 2] > when; at /= 2)
        events[at] = events[at / 2];
    events[at] = when;
}

static u32 pop(void)
{
    u32 first = events[1], last = events[waiting--];
    int at = 1, child;
    for (; (child = 2 * at) <= waiting; at = child) {
        if (child < waiting && events[child + 1] < events[child])
            child++;
        if (last <= events[child])
            break;
        events[at] = events[child];
    }
    events[at] = last;
    return first;
}

static struct link *reversed(struct link *list)
{
    struct link *out = 0;
    while (list) {
        struct link *rest = list->rest;
        list->rest = out;
        out = list;
        list = rest;
    }
    return out;
}

static struct link *merged(struct link *a, struct link *b)
{
    struct link *out = 0, **end = &out;
    while (a && b) {
        struct link **from = a->value <= b->value ? &a : &b;
        *end = *from;
        end = &(*from)->rest;
        *from = *end;
    }
    *end = a ? a : b;
    return out;
}

static struct link *ordered(struct link *list, int n)
{
    if (n == 1) {
        list->rest = 0;
        return list;
    }
    struct link *half = list;
    for (int i = 0; i < n / 2; i++)
        half = half->rest;
    struct link *high = ordered(half, n - n / 2);
    return merged(ordered(list, n / 2), high);
}

static int queens(u32 full, u32 columns, u32 left, u32 right)
{
    if (columns == full)
        return 1;
    int found = 0;
    for (u32 free = full & ~(columns | left | right); free; free &= free - 1) {
        u32 bit = free & -free;
        found += queens(full, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return found;
}

u64 run(void)
{
    struct node *plain = 0, *treap = 0;
    for (int i = 0; i < NODES; i++) {
        plain = insert(plain, next() % 5000);
        treap = settle(treap, next() % 5000);
        links[i].value = next() % 9000;
        links[i].rest = i + 1 < NODES ? &links[i + 1] : 0;
        push(next() % 7000);
    }
    u64 sum = (u64)queens(255, 0, 0, 0);
    for (u32 key = 0; key < 5000; key += 4)
        sum = sum * 3 + (u64)has(plain, key) + 2 * (u64)has(treap, key);
    sum = sum * 31 + (u64)depth(plain);
    sum = walk(treap, walk(plain, sum));
    for (int i = 0; i < NODES; i++)
        sum = sum * 31 + pop();
    for (struct link *at = ordered(reversed(links), NODES); at; at = at->rest)
        sum = sum * 31 + at->value;
    return sum;
}
