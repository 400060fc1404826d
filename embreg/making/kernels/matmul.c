/* Dense products of matrices: row by column, in blocks, with a transposed copy, and a chain of small ones.
 * Entries are small whole numbers held as doubles, so that every order of summation gives the same result. */
#include "start.h"

#define N 48
#define B 8

static double a[N][N], b[N][N], bt[N][N], c[N][N], d[N][N];

static void fill(double m[N][N], int mod)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            m[i][j] = (double)((i32)(next() % (u32)mod) - mod / 2);
}

static void plain(int n, double (*x)[N], double (*y)[N], double (*out)[N])
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int k = 0; k < n; k++)
                sum += x[i][k] * y[k][j];
            out[i][j] = sum;
        }
}

static void transpose(double x[N][N], double out[N][N])
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            out[j][i] = x[i][j];
}

static double dot(const double *x, const double *y, int n)
{
    double sum = 0;
    for (int k = 0; k < n; k++)
        sum += x[k] * y[k];
    return sum;
}

static void blocked(double x[N][N], double y[N][N], double out[N][N])
{
    for (int i0 = 0; i0 < N; i0 += B)
        for (int k0 = 0; k0 < N; k0 += B)
            for (int j0 = 0; j0 < N; j0 += B)
                for (int i = i0; i < i0 + B; i++)
                    for (int k = k0; k < k0 + B; k++)
                        for (int j = j0; j < j0 + B; j++)
                            out[i][j] += x[i][k] * y[k][j];
}

struct small {
    double m[3][3];
};

static struct small times(struct small x, struct small y)
{
    struct small out;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            out.m[i][j] = 0;
            for (int k = 0; k < 3; k++)
                out.m[i][j] += x.m[i][k] * y.m[k][j];
        }
    return out;
}

static double chain(int steps)
{
    struct small turn = {{{0, -1, 0}, {1, 0, 0}, {0, 0, 1}}}, at = {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    for (int s = 0; s < steps; s++) {
        at = times(at, turn);
        at.m[2][0] += s & 3;
    }
    return at.m[0][0] + 2 * at.m[1][0] + 3 * at.m[2][0];
}

u64 run(void)
{
    fill(a, 7);
    fill(b, 9);
    plain(N, a, b, c);
    transpose(b, bt);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            d[i][j] = dot(a[i], bt[j], N) - c[i][j];
    blocked(b, a, d);
    u64 sum = (u64)(i64)chain(600);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            sum = sum * 31 + (u64)(i64)(c[i][j] + d[i][j]);
    return sum;
}
