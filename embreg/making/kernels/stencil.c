/* Grids whose cells look at their neighbours: a smoothing step with edges that wrap, the game of life, a cube
 * of seven points, and a running median of three. Values are whole numbers or exact fractions. */
#include "start.h"

#define W 64
#define H 48

static float grid[2][H][W];
static u8 life[2][H + 2][W + 2];
static i32 cube[2][14][14][14];
static i32 line[2][1024];

static int wrap(int at, int size)
{
    return at < 0 ? at + size : at >= size ? at - size : at;
}

static void smooth(float (*from)[W], float (*to)[W], float weight)
{
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            float sum = 0;
            for (int dy = -1; dy <= 1; dy++)
                for (int dx = -1; dx <= 1; dx++)
                    if (dx || dy)
                        sum += from[wrap(y + dy, H)][wrap(x + dx, W)];
            to[y][x] = from[y][x] + weight * (sum - 8 * from[y][x]);
        }
}

static int around(u8 (*from)[W + 2], int y, int x)
{
    return from[y - 1][x - 1] + from[y - 1][x] + from[y - 1][x + 1] + from[y][x - 1] + from[y][x + 1]
         + from[y + 1][x - 1] + from[y + 1][x] + from[y + 1][x + 1];
}

static void live(u8 (*from)[W + 2], u8 (*to)[W + 2])
{
    for (int y = 1; y <= H; y++)
        for (int x = 1; x <= W; x++) {
            int n = around(from, y, x);
            to[y][x] = n == 3 || (n == 2 && from[y][x]);
        }
}

static void seven(i32 (*from)[14][14], i32 (*to)[14][14])
{
    for (int z = 1; z < 13; z++)
        for (int y = 1; y < 13; y++)
            for (int x = 1; x < 13; x++)
                to[z][y][x] = (2 * from[z][y][x] + from[z - 1][y][x] + from[z + 1][y][x] + from[z][y - 1][x]
                               + from[z][y + 1][x] + from[z][y][x - 1] + from[z][y][x + 1])
                            >> 3;
}

static i32 middle(i32 a, i32 b, i32 c)
{
    i32 low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

u64 run(void)
{
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            grid[0][y][x] = (float)(next() & 255);
            life[0][y + 1][x + 1] = next() % 3 == 0;
        }
    for (int i = 0; i < 14 * 14 * 14; i++)
        (&cube[0][0][0][0])[i] = (i32)(next() & 0xffff);
    for (int i = 0; i < 1024; i++)
        line[0][i] = (i32)(next() & 0xfff);
    for (int s = 0; s < 2; s++)
        smooth(grid[s & 1], grid[~s & 1], 0.0625f);
    for (int s = 0; s < 4; s++)
        live(life[s & 1], life[~s & 1]);
    for (int s = 0; s < 8; s++)
        seven(cube[s & 1], cube[~s & 1]);
    for (int s = 0; s < 6; s++)
        for (int i = 1; i < 1023; i++)
            line[~s & 1][i] = middle(line[s & 1][i - 1], line[s & 1][i], line[s & 1][i + 1]);
    u64 sum = 0;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            sum = sum * 31 + (u64)(grid[0][y][x] * 16) + life[0][y + 1][x + 1];
    for (int z = 1; z < 13; z++)
        for (int y = 1; y < 13; y++)
            for (int x = 1; x < 13; x++)
                sum = sum * 31 + (u64)cube[0][z][y][x];
    for (int i = 1; i < 1023; i++)
        sum = sum * 31 + (u64)line[0][i];
    return sum;
}
