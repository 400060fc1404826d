/* Checksums and hashes of a buffer (CRC by table and by bit, Adler, FNV, a mixing hash of eight lanes, a sponge
 * with rotations), then a hash table with open addressing that is filled, searched and emptied. */
#include "start.h"

#define BYTES 6144
#define SLOTS 2048

static u8 data[BYTES];
static u32 table[256];
static u64 keys[SLOTS];
static u32 values[SLOTS];

static u32 crc_byte(u32 crc, u8 byte)
{
    crc ^= byte;
    for (int k = 0; k < 8; k++)
        crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    return crc;
}

static u32 crc_table(const u8 *p, int n)
{
    u32 crc = ~0u;
    for (int i = 0; i < n; i++)
        crc = table[(crc ^ p[i]) & 255] ^ crc >> 8;
    return ~crc;
}

static u32 adler(const u8 *p, int n)
{
    u32 a = 1, b = 0;
    while (n > 0) {
        int part = n < 2048 ? n : 2048;
        for (int i = 0; i < part; i++) {
            a += p[i];
            b += a;
        }
        a %= 65521;
        b %= 65521;
        p += part;
        n -= part;
    }
    return b << 16 | a;
}

static u64 fnv(const u8 *p, int n)
{
    u64 h = 0xcbf29ce484222325ul;
    for (int i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3ul;
    return h;
}

static u32 turn(u32 x, int by)
{
    return x << by | x >> (32 - by);
}

static u32 lanes(const u8 *p, int n)
{
    u32 h[8];
    for (int l = 0; l < 8; l++)
        h[l] = 0x9e3779b9u * (u32)(l + 1);
    for (int i = 0; i + 32 <= n; i += 32)
        for (int l = 0; l < 8; l++) {
            u32 word;
            __builtin_memcpy(&word, p + i + 4 * l, 4);
            h[l] = turn(h[l] + word * 0x85ebca77u, 13) * 0xc2b2ae3du;
        }
    u32 out = 0;
    for (int l = 0; l < 8; l++)
        out = turn(out, 5) ^ h[l];
    return out;
}

static void quarter(u32 *s, int a, int b, int c, int d)
{
    s[a] += s[b], s[d] = turn(s[d] ^ s[a], 16);
    s[c] += s[d], s[b] = turn(s[b] ^ s[c], 12);
    s[a] += s[b], s[d] = turn(s[d] ^ s[a], 8);
    s[c] += s[d], s[b] = turn(s[b] ^ s[c], 7);
}

static u64 sponge(const u8 *p, int n)
{
    u32 s[16] = {0};
    for (int i = 0; i + 32 <= n; i += 32) {
        for (int w = 0; w < 8; w++)
            s[w] ^= (u32)p[i + 4 * w] | (u32)p[i + 4 * w + 1] << 8 | (u32)p[i + 4 * w + 2] << 16
                  | (u32)p[i + 4 * w + 3] << 24;
        for (int round = 0; round < 3; round++) {
            for (int q = 0; q < 4; q++)
                quarter(s, q, q + 4, q + 8, q + 12);
            for (int q = 0; q < 4; q++)
                quarter(s, q, 4 + (q + 1) % 4, 8 + (q + 2) % 4, 12 + (q + 3) % 4);
        }
    }
    return (u64)s[0] << 32 | s[9];
}

static u64 mixed(u64 x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ul;
    x ^= x >> 27;
    return x * 0x94d049bb133111ebul;
}

static u32 *slot(u64 key)
{
    u32 at = (u32)(mixed(key) >> 40) & (SLOTS - 1);
    while (keys[at] && keys[at] != key)
        at = (at + 1) & (SLOTS - 1);
    keys[at] = key;
    return &values[at];
}

static u32 find(u64 key)
{
    u32 at = (u32)(mixed(key) >> 40) & (SLOTS - 1);
    for (; keys[at]; at = (at + 1) & (SLOTS - 1))
        if (keys[at] == key)
            return values[at];
    return 0;
}

u64 run(void)
{
    for (int i = 0; i < BYTES; i++)
        data[i] = (u8)(next() >> 7);
    for (u32 i = 0; i < 256; i++)
        table[i] = crc_byte(i, 0);
    u32 bitwise = ~0u;
    for (int i = 0; i < 1500; i++)
        bitwise = crc_byte(bitwise, data[i]);
    u64 sum = ~bitwise == crc_table(data, 1500) ? 0 : 999;
    sum += crc_table(data, BYTES) + 3 * (u64)adler(data, BYTES) + 5 * fnv(data, BYTES);
    for (int shift = 0; shift < 8; shift++)
        sum = sum * 31 + lanes(data + shift, BYTES - 8);
    sum = sum * 31 + sponge(data, BYTES);
    for (int i = 0; i < 5000; i++)
        *slot(1 + next() % 1400) += (u32)i;
    for (u64 key = 1; key < 3000; key++)
        sum = sum * 31 + find(key);
    return sum;
}
