/* Signals: a Fourier transform there and back, the same over the whole numbers modulo a prime, a filter with
 * 16 taps, a cosine transform of 8 x 8 blocks in fixed point, and a histogram. The checksum of the floating part
 * is coarse. */
#include "start.h"

#define N 512
#define PRIME 998244353u

struct complex {
    double re, im;
};

static struct complex signal[N], twiddle[N / 2];
static u32 whole[N], power[N / 2];
static i32 sound[2048], filtered[2048];
static u8 picture[64][64];
static u32 bins[32];

static struct complex times(struct complex a, struct complex b)
{
    struct complex out = {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
    return out;
}

static struct complex plus(struct complex a, struct complex b, double sign)
{
    struct complex out = {a.re + sign * b.re, a.im + sign * b.im};
    return out;
}

static u32 flipped(u32 i, int bits)
{
    u32 out = 0;
    for (int b = 0; b < bits; b++)
        out |= (i >> b & 1) << (bits - 1 - b);
    return out;
}

static void fourier(struct complex *x, int back)
{
    for (u32 i = 0; i < N; i++) {
        u32 j = flipped(i, 9);
        if (i < j) {
            struct complex t = x[i];
            x[i] = x[j];
            x[j] = t;
        }
    }
    for (int half = 1; half < N; half *= 2)
        for (int at = 0; at < N; at += 2 * half)
            for (int k = 0; k < half; k++) {
                struct complex w = twiddle[k * (N / 2 / half)];
                if (back)
                    w.im = -w.im;
                struct complex t = times(x[at + k + half], w), u = x[at + k];
                x[at + k] = plus(u, t, 1);
                x[at + k + half] = plus(u, t, -1);
            }
}

static u32 product(u32 a, u32 b)
{
    return (u32)((u64)a * b % PRIME);
}

static u32 raised(u32 base, u32 to)
{
    u32 out = 1;
    for (; to; to >>= 1, base = product(base, base))
        if (to & 1)
            out = product(out, base);
    return out;
}

static void modular(u32 *x)
{
    for (int half = N / 2; half; half /= 2)
        for (int at = 0; at < N; at += 2 * half)
            for (int k = 0; k < half; k++) {
                u32 u = x[at + k], v = x[at + k + half];
                x[at + k] = u + v >= PRIME ? u + v - PRIME : u + v;
                x[at + k + half] = product(u >= v ? u - v : u + PRIME - v, power[k * (N / 2 / half)]);
            }
}

static void filter(const i32 *in, i32 *out, int n)
{
    static const i32 taps[16] = {3, -5, 9, -14, 22, -37, 81, 197, 197, 81, -37, 22, -14, 9, -5, 3};
    for (int i = 0; i + 16 <= n; i++) {
        i32 sum = 256;
        for (int k = 0; k < 16; k++)
            sum += taps[k] * in[i + k];
        out[i] = sum >> 9;
    }
}

static i32 clip(i32 v)
{
    return v < 0 ? 0 : v > 255 ? 255 : v;
}

static void butterfly(i32 *x, int stride)
{
    for (int k = 0; k < 4; k++) {
        i32 a = x[k * stride], b = x[(7 - k) * stride];
        x[k * stride] = (a + b) * 23 >> 5;
        x[(7 - k) * stride] = (a - b) * (29 - 5 * k) >> 5;
    }
    for (int k = 0; k < 2; k++) {
        i32 a = x[k * stride], b = x[(3 - k) * stride];
        x[k * stride] = a + b;
        x[(3 - k) * stride] = (a - b) * (12 + 15 * k) >> 5;
    }
}

static void blocks(void)
{
    for (int by = 0; by < 64; by += 8)
        for (int bx = 0; bx < 64; bx += 8) {
            i32 block[64];
            for (int i = 0; i < 64; i++)
                block[i] = picture[by + i / 8][bx + i % 8] - 128;
            for (int r = 0; r < 8; r++)
                butterfly(block + 8 * r, 1);
            for (int c = 0; c < 8; c++)
                butterfly(block + c, 8);
            for (int i = 0; i < 64; i++)
                picture[by + i / 8][bx + i % 8] = (u8)clip(block[i] / (1 + i / 16) + 128);
        }
}

u64 run(void)
{
    /* A turn by 2 pi / 512, repeated: cosine and sine of the step are constants. */
    struct complex step = {0.99992470183914450, -0.012271538285719925}, w = {1, 0};
    u32 root = raised(3, (PRIME - 1) / N), p = 1;
    for (int k = 0; k < N / 2; k++) {
        twiddle[k] = w;
        w = times(w, step);
        power[k] = p;
        p = product(p, root);
    }
    for (int i = 0; i < N; i++) {
        signal[i].re = (double)(next() & 255);
        signal[i].im = 0;
        whole[i] = next() % PRIME;
    }
    for (int i = 0; i < 2048; i++)
        sound[i] = (i32)(next() & 1023) - 512;
    for (int i = 0; i < 4096; i++)
        picture[i / 64][i % 64] = (u8)(next() >> 9);
    fourier(signal, 0);
    double energy = 0;
    for (int i = 0; i < N; i++) {
        energy += signal[i].re * signal[i].re + signal[i].im * signal[i].im;
        signal[i].re *= i & 1 ? 0.5 : 0.25;
        signal[i].im *= i & 1 ? 0.5 : 0.25;
    }
    fourier(signal, 1);
    u64 sum = (u64)(energy / N + 0.37);
    for (int i = 0; i < N; i++)
        sum += (u64)(i64)(signal[i].re / N * 8 + 1e6 + 0.37);
    modular(whole);
    filter(sound, filtered, 2048);
    filter(filtered, sound, 2033);
    blocks();
    for (int i = 0; i < 4096; i++)
        bins[picture[i / 64][i % 64] >> 3]++;
    for (int i = 0; i < 32; i++)
        sum = sum * 31 + bins[i];
    for (int i = 0; i < N; i++)
        sum = sum * 31 + whole[i];
    for (int i = 0; i < 2018; i++)
        sum = sum * 31 + (u64)(i64)sound[i];
    return sum;
}
