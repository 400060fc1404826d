/* The same numbers put in order in five ways: quick, heap, merge, shell and by digits. */
#include "start.h"

#define N 2000

struct item {
    u32 key;
    u32 place;
};

static u32 numbers[N], work[N], spare[N];
static struct item items[N], other[N];

static void swap(u32 *a, u32 *b)
{
    u32 t = *a;
    *a = *b;
    *b = t;
}

static void insertion(u32 *x, int n)
{
    for (int i = 1; i < n; i++) {
        u32 v = x[i];
        int j = i - 1;
        while (j >= 0 && x[j] > v) {
            x[j + 1] = x[j];
            j--;
        }
        x[j + 1] = v;
    }
}

static void quick(u32 *x, int n)
{
    if (n < 12) {
        insertion(x, n);
        return;
    }
    int mid = n / 2, last = n - 1;
    if (x[mid] < x[0])
        swap(x + mid, x);
    if (x[last] < x[0])
        swap(x + last, x);
    if (x[last] < x[mid])
        swap(x + last, x + mid);
    u32 pivot = x[mid];
    int i = 0, j = last;
    while (i <= j) {
        while (x[i] < pivot)
            i++;
        while (x[j] > pivot)
            j--;
        if (i <= j)
            swap(x + i++, x + j--);
    }
    quick(x, j + 1);
    quick(x + i, n - i);
}

static void sift(u32 *x, int root, int n)
{
    for (;;) {
        int child = 2 * root + 1;
        if (child >= n)
            return;
        if (child + 1 < n && x[child] < x[child + 1])
            child++;
        if (x[root] >= x[child])
            return;
        swap(x + root, x + child);
        root = child;
    }
}

static void heap(u32 *x, int n)
{
    for (int i = n / 2 - 1; i >= 0; i--)
        sift(x, i, n);
    for (int end = n - 1; end > 0; end--) {
        swap(x, x + end);
        sift(x, 0, end);
    }
}

static int less(struct item a, struct item b)
{
    return a.key != b.key ? a.key < b.key : a.place < b.place;
}

static void merge(struct item *x, struct item *to, int n)
{
    for (int width = 1; width < n; width *= 2) {
        for (int at = 0; at < n; at += 2 * width) {
            int mid = at + width < n ? at + width : n, end = mid + width < n ? mid + width : n;
            int i = at, j = mid;
            for (int k = at; k < end; k++)
                to[k] = i < mid && (j >= end || !less(x[j], x[i])) ? x[i++] : x[j++];
        }
        for (int k = 0; k < n; k++)
            x[k] = to[k];
    }
}

static void shell(u32 *x, int n)
{
    static const int gaps[] = {701, 301, 132, 57, 23, 10, 4, 1};
    for (int g = 0; g < 8; g++) {
        int gap = gaps[g];
        for (int i = gap; i < n; i++) {
            u32 v = x[i];
            int j = i;
            for (; j >= gap && x[j - gap] > v; j -= gap)
                x[j] = x[j - gap];
            x[j] = v;
        }
    }
}

static void digits(u32 *x, u32 *to, int n)
{
    for (int shift = 0; shift < 16; shift += 8) {
        int count[257] = {0};
        for (int i = 0; i < n; i++)
            count[((x[i] >> shift) & 255) + 1]++;
        for (int d = 0; d < 256; d++)
            count[d + 1] += count[d];
        for (int i = 0; i < n; i++)
            to[count[(x[i] >> shift) & 255]++] = x[i];
        for (int i = 0; i < n; i++)
            x[i] = to[i];
    }
}

static u64 checked(const u32 *x, int n)
{
    u64 sum = 0;
    for (int i = 0; i < n; i++) {
        if (i && x[i - 1] > x[i])
            return 1;
        sum = sum * 31 + x[i];
    }
    return sum;
}

static void copy(u32 *to, const u32 *from, int n)
{
    for (int i = 0; i < n; i++)
        to[i] = from[i];
}

u64 run(void)
{
    for (int i = 0; i < N; i++) {
        numbers[i] = next() & 0xffff;
        items[i].key = numbers[i];
        items[i].place = (u32)i;
    }
    u64 sum = 0;
    copy(work, numbers, N);
    quick(work, N);
    sum += checked(work, N);
    copy(work, numbers, N);
    heap(work, N);
    sum += 3 * checked(work, N);
    copy(work, numbers, N);
    shell(work, N);
    sum += 5 * checked(work, N);
    copy(work, numbers, N);
    digits(work, spare, N);
    sum += 7 * checked(work, N);
    merge(items, other, N);
    for (int i = 0; i < N; i++)
        sum = sum * 31 + items[i].place;
    return sum;
}
