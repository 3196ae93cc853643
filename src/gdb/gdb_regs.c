/* One table: the order is gdb's own for i386:x86-64 (features org.gnu.gdb.i386.core, .sse, .avx,
 * .segments in the spelling of its documentation, G.5.5), then control registers under a name of
 * ours. */
#include "gdb/gdb_regs.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

enum source {
    REGS,   /* struct kvm_regs at `at` */
    SEG,    /* selector of a kvm_segment of kvm_sregs */
    BASE,   /* base of one */
    SREGS,  /* struct kvm_sregs at `at` */
    XSAVE,  /* XSAVE image at `at` */
    X87,    /* 32 bits made of 16 at `at` of the image */
    TAGS,   /* the full tag word, from the abridged one */
    NOTHING /* reads as zero */
};

struct reg {
    const char *name, *type;
    uint16_t bits;
    uint8_t source;
    uint16_t at;
};

#define R(n)                                                                                       \
    {                                                                                              \
#n, "int64", 64, REGS, offsetof(struct kvm_regs, n)                                        \
    }
#define S(n)                                                                                       \
    {                                                                                              \
#n, "int32", 32, SEG, offsetof(struct kvm_sregs, n)                                        \
    }
#define ST(i)                                                                                      \
    {                                                                                              \
        "st" #i, "i387_ext", 80, XSAVE, 32 + 16 * i                                                \
    }
#define XMM(i)                                                                                     \
    {                                                                                              \
        "xmm" #i, "vec128", 128, XSAVE, 160 + 16 * i                                               \
    }
#define YMMH(i)                                                                                    \
    {                                                                                              \
        "ymm" #i "h", "uint128", 128, XSAVE, 576 + 16 * i                                          \
    }
#define C(n)                                                                                       \
    {                                                                                              \
#n, "int64", 64, SREGS, offsetof(struct kvm_sregs, n)                                      \
    }
#define F(n, src, at)                                                                              \
    {                                                                                              \
#n, "int", 32, src, at                                                                     \
    }
#define SIXTEEN(X)                                                                                 \
    X(0), X(1), X(2), X(3), X(4), X(5), X(6), X(7), X(8), X(9), X(10), X(11), X(12), X(13), X(14), \
        X(15)

static const struct reg core[] = {
    R(rax),
    R(rbx),
    R(rcx),
    R(rdx),
    R(rsi),
    R(rdi),
    R(rbp),
    R(rsp),
    R(r8),
    R(r9),
    R(r10),
    R(r11),
    R(r12),
    R(r13),
    R(r14),
    R(r15),
    {"rip", "code_ptr", 64, REGS, offsetof(struct kvm_regs, rip)},
    {"eflags", "int32", 32, REGS, offsetof(struct kvm_regs, rflags)},
    S(cs),
    S(ss),
    S(ds),
    S(es),
    S(fs),
    S(gs),
    ST(0),
    ST(1),
    ST(2),
    ST(3),
    ST(4),
    ST(5),
    ST(6),
    ST(7),
    F(fctrl, X87, 0),
    F(fstat, X87, 2),
    F(ftag, TAGS, 4),
    F(fiseg, NOTHING, 0),
    F(fioff, NOTHING, 0),
    F(foseg, NOTHING, 0),
    F(fooff, NOTHING, 0),
    F(fop, X87, 6),
};
static const struct reg sse[] = {SIXTEEN(XMM), {"mxcsr", "int", 32, XSAVE, 24}};
static const struct reg segments[] = {
    {"fs_base", "int64", 64, BASE, offsetof(struct kvm_sregs, fs)},
    {"gs_base", "int64", 64, BASE, offsetof(struct kvm_sregs, gs)},
};
static const struct reg avx[] = {SIXTEEN(YMMH)};
static const struct reg control[] = {C(cr0), C(cr2), C(cr3), C(cr4), C(cr8), C(efer)};

static const struct feature {
    const char *name;
    const struct reg *regs;
    size_t n;
} features[] = {
    {"org.gnu.gdb.i386.core", core, ARRAY_LEN(core)},
    {"org.gnu.gdb.i386.sse", sse, ARRAY_LEN(sse)},
    {"org.gnu.gdb.i386.segments", segments, ARRAY_LEN(segments)},
    {"org.gnu.gdb.i386.avx", avx, ARRAY_LEN(avx)},
    {"org.virga.gdb.control", control, ARRAY_LEN(control)},
};

static const char sse_types[] =
    "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/><vector id=\"v2d\" type=\"ieee_double\" "
    "count=\"2\"/>"
    "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/><vector id=\"v4i32\" type=\"int32\" "
    "count=\"4\"/>"
    "<vector id=\"v2i64\" type=\"int64\" count=\"2\"/><union id=\"vec128\"><field "
    "name=\"v4_float\" type=\"v4f\"/>"
    "<field name=\"v2_double\" type=\"v2d\"/><field name=\"v16_int8\" type=\"v16i8\"/>"
    "<field name=\"v4_int32\" type=\"v4i32\"/><field name=\"v2_int64\" type=\"v2i64\"/>"
    "<field name=\"uint128\" type=\"uint128\"/></union>";

static char xml[12000];
static size_t xml_len;

static void put(const char *text)
{
    size_t n = strlen(text);
    memcpy(xml + xml_len, text, n); /* the table is fixed: a test sees that it fits */
    xml_len += n;
}

static void make_xml(void)
{
    char line[160];
    put("<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
        "<architecture>i386:x86-64</architecture>");
    for (size_t f = 0; f < ARRAY_LEN(features); f++) {
        snprintf(line, sizeof(line), "<feature name=\"%s\">", features[f].name);
        put(line);
        if (features[f].regs == sse)
            put(sse_types);
        for (size_t i = 0; i < features[f].n; i++) {
            const struct reg *r = &features[f].regs[i];
            snprintf(line, sizeof(line), "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"/>\n", r->name,
                     r->bits, r->type);
            put(line);
        }
        put("</feature>");
    }
    put("</target>");
}

const char *gdb_regs_xml(size_t *len)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_xml);
    *len = xml_len;
    return xml;
}

bool gdb_regs_place(unsigned number, unsigned *offset, unsigned *bytes)
{
    *offset = 0;
    for (size_t f = 0; f < ARRAY_LEN(features); f++)
        for (size_t i = 0; i < features[f].n; i++) {
            *bytes = features[f].regs[i].bits / 8u;
            if (number-- == 0)
                return true;
            *offset += *bytes;
        }
    return false;
}

/* Two bits a register: 3 is empty, the rest is for whoever asks the registers themselves (0 here).
 */
static uint32_t full_tags(uint8_t abridged)
{
    uint32_t tags = 0;
    for (unsigned i = 0; i < 8; i++)
        if (!(abridged >> i & 1))
            tags |= 3u << (2 * i);
    return tags;
}

static void read_one(const struct engine_vcpu_state *s, const struct reg *r, uint8_t *to)
{
    const uint8_t *image = (const uint8_t *)s->xsave.region, *sregs = (const uint8_t *)&s->sregs;
    const struct kvm_segment *seg = (const struct kvm_segment *)(const void *)(sregs + r->at);
    switch ((enum source)r->source) {
    case REGS:
        memcpy(to, (const uint8_t *)&s->regs + r->at, r->bits / 8u);
        break;
    case SREGS:
        memcpy(to, sregs + r->at, r->bits / 8u);
        break;
    case SEG:
        le32_write(to, seg->selector);
        break;
    case BASE:
        le64_write(to, seg->base);
        break;
    case XSAVE:
        memcpy(to, image + r->at, r->bits / 8u);
        break;
    case X87:
        le32_write(to, le16_read(image + r->at));
        break;
    case TAGS:
        le32_write(to, full_tags(image[r->at]));
        break;
    case NOTHING:
        memset(to, 0, r->bits / 8u);
        break;
    }
}

void gdb_regs_read(const struct engine_vcpu_state *s, uint8_t block[GDB_REGS_BYTES])
{
    for (size_t f = 0; f < ARRAY_LEN(features); f++)
        for (size_t i = 0; i < features[f].n; i++) {
            read_one(s, &features[f].regs[i], block);
            block += features[f].regs[i].bits / 8u;
        }
}

void gdb_regs_write(const uint8_t block[GDB_REGS_BYTES], struct kvm_regs *regs,
                    struct kvm_sregs *sregs)
{
    for (size_t f = 0; f < ARRAY_LEN(features); f++)
        for (size_t i = 0; i < features[f].n; i++) {
            const struct reg *r = &features[f].regs[i];
            if (r->source == REGS)
                memcpy((uint8_t *)regs + r->at, block, r->bits / 8u);
            else if (r->source == BASE)
                ((struct kvm_segment *)(void *)((uint8_t *)sregs + r->at))->base = le64_read(block);
            block += r->bits / 8u;
        }
}
