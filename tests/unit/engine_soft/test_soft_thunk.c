/* SIMD exceptions that the guest has unmasked come back from the host, in every kind of build. */
#include "engine/soft/soft_thunk.h"

#include "soft_vm_fixture.h"

#define MASKED      0x1f80
#define ZERO_DIVIDE 0x004
#define UNDERFLOW   0x010
#define INEXACT     0x020
#define MASK_OF(x)  ((x) << 7)

static struct soft_fixture f;

/* divps xmm, xmm */
static soft_thunk_fn *division(void)
{
    static const uint8_t code[] = {0x0f, 0x5e, 0xc1};
    struct x86_insn insn;
    if (decode_insn(code, sizeof(code), X86_CODE64, &insn) != X86_DECODE_OK)
        return NULL;
    return soft_thunk_get(f.cpus[0], &insn);
}

/* Whether a / b came back; the quotient goes to *a. */
static bool divide(soft_thunk_fn *fn, float *a, float b, uint32_t *mxcsr)
{
    _Alignas(32) float x[8] = {*a, 1, 1, 1}, y[8] = {b, 1, 1, 1};
    struct soft_thunk_io io = {0};
    bool ok = soft_thunk_try(fn, x, y, y, &io, mxcsr);
    *a = x[0];
    return ok;
}

static void an_exception_that_is_unmasked_leaves_the_operands(void)
{
    soft_thunk_fn *fn = division();
    uint32_t mxcsr = MASKED & ~MASK_OF(ZERO_DIVIDE);
    float a = 3;
    REQUIRE(fn != NULL);
    for (unsigned i = 0; i < 3; i++) {
        CHECK(!divide(fn, &a, 0, &mxcsr));
        CHECK_EQ(mxcsr, (MASKED & ~MASK_OF(ZERO_DIVIDE)) | ZERO_DIVIDE);
        CHECK(a == 3);
    }
    CHECK_EQ(__builtin_ia32_stmxcsr(), MASKED);
}

static void an_exception_that_is_masked_is_a_flag(void)
{
    soft_thunk_fn *fn = division();
    uint32_t mxcsr = MASKED & ~MASK_OF(UNDERFLOW);
    float a = 1;
    REQUIRE(fn != NULL);
    CHECK(divide(fn, &a, 3, &mxcsr));
    CHECK_EQ(mxcsr, (MASKED & ~MASK_OF(UNDERFLOW)) | INEXACT);
    CHECK(a > 0.333f && a < 0.334f);
}

static void a_tiny_result_raises_underflow_even_if_it_is_exact(void)
{
    soft_thunk_fn *fn = division();
    uint32_t mxcsr = MASKED & ~MASK_OF(UNDERFLOW);
    float tiny = 0x1p-126f;
    REQUIRE(fn != NULL);
    CHECK(!divide(fn, &tiny, 2, &mxcsr));
    CHECK_EQ(mxcsr & 0x3f, UNDERFLOW);
    mxcsr = MASKED;
    CHECK(divide(fn, &tiny, 2, &mxcsr));
    CHECK_EQ(mxcsr & 0x3f, 0);
    CHECK(tiny == 0x1p-127f);
}

int main(void)
{
    if (!soft_fixture_open(&f, 1)) {
        printf("Bail out! could not make a VM of the soft engine\n");
        return 1;
    }
    TAP_RUN(an_exception_that_is_unmasked_leaves_the_operands);
    TAP_RUN(an_exception_that_is_masked_is_a_flag);
    TAP_RUN(a_tiny_result_raises_underflow_even_if_it_is_exact);
    soft_fixture_close(&f);
    return tap_done();
}
