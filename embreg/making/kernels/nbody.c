/* Bodies that attract each other: pairs with a square root by Newton's steps, a lattice of springs, and a pair
 * potential with a cut-off. The checksum is coarse: a last digit that differs does not reach it. */
#include "start.h"

#define BODIES 8
#define STEPS 100
#define CHAIN 200

struct vec {
    double x, y, z;
};

struct body {
    struct vec at, speed;
    double mass;
};

static struct body bodies[BODIES];
static double place[CHAIN], pace[CHAIN];
static float px[96], py[96], energy[96];

static double unit(void)
{
    return (double)(next() & 0xffff) / 65536.0;
}

static struct vec minus(struct vec a, struct vec b)
{
    struct vec out = {a.x - b.x, a.y - b.y, a.z - b.z};
    return out;
}

static struct vec along(struct vec a, struct vec b, double by)
{
    struct vec out = {a.x + by * b.x, a.y + by * b.y, a.z + by * b.z};
    return out;
}

static double squared(struct vec a)
{
    return a.x * a.x + a.y * a.y + a.z * a.z;
}

static double root(double v)
{
    double guess = v > 1 ? v : 1;
    for (int k = 0; k < 7; k++)
        guess = 0.5 * (guess + v / guess);
    return guess;
}

static void step(double dt)
{
    for (int i = 0; i < BODIES; i++)
        for (int j = i + 1; j < BODIES; j++) {
            struct vec gap = minus(bodies[j].at, bodies[i].at);
            double far = squared(gap) + 0.05, force = dt / (far * root(far));
            bodies[i].speed = along(bodies[i].speed, gap, force * bodies[j].mass);
            bodies[j].speed = along(bodies[j].speed, gap, -force * bodies[i].mass);
        }
    for (int i = 0; i < BODIES; i++)
        bodies[i].at = along(bodies[i].at, bodies[i].speed, dt);
}

static void springs(double *x, double *v, int n, double dt)
{
    for (int i = 1; i < n - 1; i++)
        v[i] += dt * (x[i - 1] - 2 * x[i] + x[i + 1]);
    for (int i = 0; i < n; i++)
        x[i] += dt * v[i];
}

static void pairs(int n, float limit)
{
    for (int i = 0; i < n; i++) {
        float sum = 0;
        for (int j = 0; j < n; j++) {
            float dx = px[i] - px[j], dy = py[i] - py[j], far = dx * dx + dy * dy + 0.25f;
            if (far < limit) {
                float near = 1 / far, cube = near * near * near;
                sum += cube * cube - cube;
            }
        }
        energy[i] += sum;
    }
}

u64 run(void)
{
    for (int i = 0; i < BODIES; i++) {
        struct vec at = {4 * unit(), 4 * unit(), 4 * unit()}, speed = {unit() - 0.5, unit() - 0.5, unit() - 0.5};
        bodies[i].at = at;
        bodies[i].speed = speed;
        bodies[i].mass = 0.25 + unit();
    }
    for (int i = 0; i < CHAIN; i++)
        place[i] = unit();
    for (int i = 0; i < 96; i++) {
        px[i] = (float)(8 * unit());
        py[i] = (float)(8 * unit());
    }
    for (int s = 0; s < STEPS; s++) {
        step(0.01);
        springs(place, pace, CHAIN, 0.05);
    }
    for (int s = 0; s < 4; s++)
        pairs(96, 9.0f + (float)s);
    double total = 0;
    for (int i = 0; i < BODIES; i++)
        total += bodies[i].mass * squared(bodies[i].speed) + squared(bodies[i].at);
    for (int i = 0; i < CHAIN; i++)
        total += place[i] * place[i] + pace[i];
    for (int i = 0; i < 96; i++)
        total += energy[i] / 4096;
    return (u64)(total * 1000);
}
