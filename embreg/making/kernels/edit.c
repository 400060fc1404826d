/* Dynamic programming over strings and weights: edit distance, longest common subsequence, a local alignment
 * with gaps, a knapsack, and shortest paths between all pairs. */
#include "start.h"

#define L 160

static char left[L + 1], right[L + 1];
static int row[2][L + 1];
static u16 common[L + 1][L + 1];
static int best[512];
static int dist[40][40];

static int least(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

static int most(int a, int b)
{
    return a > b ? a : b;
}

static int edit(const char *a, int n, const char *b, int m)
{
    for (int j = 0; j <= m; j++)
        row[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = row[i & 1], *before = row[~i & 1];
        now[0] = i;
        for (int j = 1; j <= m; j++)
            now[j] = least(before[j] + 1, now[j - 1] + 1, before[j - 1] + (a[i - 1] != b[j - 1]));
    }
    return row[n & 1][m];
}

static int subsequence(const char *a, int n, const char *b, int m)
{
    for (int i = 1; i <= n; i++)
        for (int j = 1; j <= m; j++)
            if (a[i - 1] == b[j - 1])
                common[i][j] = (u16)(common[i - 1][j - 1] + 1);
            else
                common[i][j] = common[i - 1][j] > common[i][j - 1] ? common[i - 1][j] : common[i][j - 1];
    return common[n][m];
}

static int align(const char *a, int n, const char *b, int m, int match, int gap)
{
    int score[L + 1] = {0}, top = 0;
    for (int i = 0; i < n; i++) {
        int corner = 0;
        for (int j = 1; j <= m; j++) {
            int up = score[j];
            int here = most(corner + (a[i] == b[j - 1] ? match : -1), most(up, score[j - 1]) - gap);
            score[j] = most(here, 0);
            top = most(top, score[j]);
            corner = up;
        }
    }
    return top;
}

static int knapsack(int things, int room)
{
    for (int t = 0; t < things; t++) {
        int weight = 3 + (int)(next() % 60), value = 1 + (int)(next() % 100);
        for (int w = room; w >= weight; w--)
            best[w] = most(best[w], best[w - weight] + value);
    }
    return best[room];
}

static void paths(int n)
{
    for (int k = 0; k < n; k++)
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                if (dist[i][k] + dist[k][j] < dist[i][j])
                    dist[i][j] = dist[i][k] + dist[k][j];
}

u64 run(void)
{
    for (int i = 0; i < L; i++) {
        left[i] = (char)('a' + next() % 4);
        right[i] = next() % 5 ? left[i] : (char)('a' + next() % 4);
    }
    for (int i = 0; i < 40; i++)
        for (int j = 0; j < 40; j++)
            dist[i][j] = i == j ? 0 : 1 + (int)(next() % 900);
    u64 sum = (u64)edit(left, L, right, L);
    sum = sum * 31 + (u64)subsequence(left, L, right, L);
    sum = sum * 31 + (u64)align(left, L, right, L, 2, 1);
    sum = sum * 31 + (u64)knapsack(60, 500);
    paths(40);
    for (int i = 0; i < 40; i++)
        for (int j = 0; j < 40; j++)
            sum = sum * 31 + (u64)dist[i][j];
    return sum;
}
