/* Sparse matrices: product with a vector from rows, from coordinates and from diagonals, gradients that are
 * gathered and scattered, a search from a source in the graph, and steps of a rank. Values are whole numbers. */
#include "start.h"

#define N 400
#define PER 12

static int first[N + 1], column[N * PER], from[N * PER];
static double weight[N * PER], x[N], y[N], z[N], diagonal[5][N];
static int depth[N], queue[N];
static u32 rank[2][N];
static u8 kept[N];

static void build(void)
{
    int at = 0;
    for (int i = 0; i < N; i++) {
        int n = (int)(next() % PER);
        first[i] = at;
        for (int k = 0; k < n; k++) {
            from[at] = i;
            column[at] = (int)(next() % N);
            weight[at++] = (double)((i32)(next() % 9) - 4);
        }
        x[i] = (double)(next() % 5);
        kept[i] = (u8)(next() & 1);
        for (int d = 0; d < 5; d++)
            diagonal[d][i] = (double)(next() % 7);
    }
    first[N] = at;
}

static void rows(const double *in, double *out)
{
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int k = first[i]; k < first[i + 1]; k++)
            sum += weight[k] * in[column[k]];
        out[i] = sum;
    }
}

static void scatter(const double *in, double *out, int n)
{
    for (int k = 0; k < n; k++)
        out[column[k]] += weight[k] * in[from[k]];
}

static void banded(const double *in, double *out)
{
    static const int offset[5] = {-20, -1, 0, 1, 20};
    for (int d = 0; d < 5; d++) {
        int low = offset[d] < 0 ? -offset[d] : 0, high = offset[d] > 0 ? N - offset[d] : N;
        for (int i = low; i < high; i++)
            out[i] += diagonal[d][i] * in[i + offset[d]];
    }
}

static double where(const double *a, const double *b, const u8 *mask, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        if (mask[i])
            sum += a[i] * b[i];
        else
            sum -= a[i];
    return sum;
}

static double small(double v)
{
    return (double)((i64)v % 8);
}

static int reach(int source)
{
    int head = 0, tail = 0;
    for (int i = 0; i < N; i++)
        depth[i] = -1;
    depth[source] = 0;
    queue[tail++] = source;
    while (head < tail) {
        int i = queue[head++];
        for (int k = first[i]; k < first[i + 1]; k++)
            if (depth[column[k]] < 0) {
                depth[column[k]] = depth[i] + 1;
                queue[tail++] = column[k];
            }
    }
    return depth[queue[tail - 1]] + 64 * tail;
}

static void ranks(const u32 *now, u32 *then)
{
    for (int i = 0; i < N; i++)
        then[i] = 150;
    for (int i = 0; i < N; i++) {
        u32 n = (u32)(first[i + 1] - first[i]);
        if (n) {
            u32 share = now[i] * 7 / (8 * n);
            for (int k = first[i]; k < first[i + 1]; k++)
                then[column[k]] += share;
        }
    }
}

u64 run(void)
{
    build();
    u64 sum = 0;
    for (int s = 0; s < 10; s++) {
        rows(x, y);
        for (int i = 0; i < N; i++)
            z[i] = 0;
        scatter(y, z, first[N]);
        banded(y, z);
        sum = sum * 31 + (u64)(i64)where(y, z, kept, N);
        for (int i = 0; i < N; i++)
            x[i] = small(z[i] + y[i]);
        sum = sum * 31 + (u64)reach((s * 37) % N);
    }
    for (int i = 0; i < N; i++)
        rank[0][i] = 1000;
    for (int s = 0; s < 10; s++)
        ranks(rank[s & 1], rank[~s & 1]);
    for (int i = 0; i < N; i++)
        sum = sum * 31 + rank[0][i];
    return sum;
}
