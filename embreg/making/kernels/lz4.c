/* LZ4, version 1.9.4, compresses and restores a generated text: its own source, which is fetched and not kept
 * here, in the mode it has for programs without a C library. */
#include "start.h"

/* What is not called is not compiled: all of it would take two seconds a row. */
#define LZ4LIB_VISIBILITY static
#define LZ4_PUBLISH_STATIC_FUNCTIONS 1
#define LZ4_FREESTANDING 1
#define LZ4_memcpy(to, from, n) __builtin_memcpy(to, from, n)
#define LZ4_memmove(to, from, n) __builtin_memmove(to, from, n)
#define LZ4_memset(to, value, n) __builtin_memset(to, value, n)
#define LZ4_STATIC_LINKING_ONLY
#include "lz4libs/lz4.h"
static int LZ4_compress_forceExtDict(LZ4_stream_t *, const char *, char *, int);
static int LZ4_decompress_safe_forceExtDict(const char *, char *, int, int, const void *, u64);
static int LZ4_decompress_safe_partial_forceExtDict(const char *, char *, int, int, int, const void *, u64);
#include "lz4libs/lz4.c"

#define SIZE 24000

static char text[SIZE], packed[LZ4_COMPRESSBOUND(SIZE)], restored[SIZE];
static LZ4_stream_t table;

static void generate(void)
{
    int at = 0;
    while (at < SIZE) {
        int n = 2 + (int)(next() % 24), back = 1 + (int)(next() % 3000);
        if (back > at || next() % 5 < 2)
            while (n-- && at < SIZE)
                text[at++] = (char)('a' + (next() & next() & 15));
        else
            for (; n-- && at < SIZE; at++)
                text[at] = text[at - back];
    }
}

u64 run(void)
{
    generate();
    u64 sum = 0;
    for (int speed = 1; speed < 12; speed += 5) {
        LZ4_initStream(&table, sizeof table);
        int n = LZ4_compress_generic(&table.internal_donotuse, text, packed, SIZE, 0, 0, notLimited, byU16, noDict,
                                     noDictIssue, speed);
        sum = sum * 31 + (u64)n;
        for (int i = 0; i < n; i += 7)
            sum = sum * 31 + (u8)packed[i];
        if (LZ4_decompress_safe(packed, restored, n, SIZE) != SIZE || memcmp(restored, text, SIZE / 8))
            return 1;
        for (int i = SIZE / 8; i < SIZE; i++)
            if (restored[i] != text[i])
                return 2;
    }
    return sum;
}
