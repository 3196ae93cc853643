/* Arithmetic of every kind whose results must not depend on where it runs: integers to 128 bits,
 * float, double and long double to the last bit, sorting, hashing, recursion. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 88172645463325252u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t hash(const void *data, size_t n)
{
    const unsigned char *p = data;
    uint32_t h = 2166136261u;
    while (n--)
        h = (h ^ *p++) * 16777619u;
    return h;
}

static unsigned ackermann(unsigned m, unsigned n)
{
    return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

static void integers(void)
{
    static uint32_t v[200000];
    uint64_t quotients = 0;
    for (unsigned i = 0; i < 200000; i++)
        v[i] = (uint32_t)next();
    qsort(v, 200000, sizeof(v[0]), by_value);
    printf("sorted %08x\n", hash(v, sizeof(v)));
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t a = next(), b = next() >> (i & 63) | 1;
        quotients += a / b + a % b + (uint64_t)((int64_t)a / (int64_t)(b | 3));
        quotients = quotients << 7 | quotients >> 57;
    }
    printf("divided %016llx\n", (unsigned long long)quotients);
#ifdef __SIZEOF_INT128__
    unsigned __int128 wide = 1;
    for (unsigned i = 0; i < 100000; i++)
        wide = wide * next() + i;
    printf("wide %016llx\n", (unsigned long long)(wide >> 64));
#endif
    printf("ackermann %u\n", ackermann(2, 300));
}

static void reals(void)
{
    double d = 0;
    float f = 0;
    long double l = 0;
    for (unsigned i = 1; i < 20000; i++) {
        double x = (double)(int64_t)next() / 1e17;
        d += sin(x) * exp(-fabs(x) / 100) + sqrt(fabs(x)) + atan2(x, d) + fma(x, x, d * 1e-9);
        f += sinf((float)x) + (float)i / 3;
        l += sinl(x) + powl(fabsl(x) + 1, 0.3L) + logl(fabsl(x) + 1) + fmodl(l, 7);
    }
    printf("double %a\nfloat %a\n", d, f);
    unsigned char bytes[10];
    memcpy(bytes, &l, 10);
    printf("long double %08x %.18Lg\n", hash(bytes, 10), l);
    char text[64];
    snprintf(text, sizeof(text), "%.17g", d);
    printf("read back %d\n", strtod(text, NULL) == d);
}

int main(void)
{
    integers();
    reals();
    return 0;
}
