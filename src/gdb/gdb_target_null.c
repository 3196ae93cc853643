#include "gdb/gdb_target_null.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

static unsigned n_threads(void *target)
{
    return 2;
}

static bool running(void *target)
{
    return ((struct gdb_target_null *)target)->running;
}

static int read_regs(void *target, unsigned thread, uint8_t *block)
{
    memcpy(block, ((struct gdb_target_null *)target)->regs, GDB_REGS_BYTES);
    return 0;
}

static int write_regs(void *target, unsigned thread, const uint8_t *block)
{
    memcpy(((struct gdb_target_null *)target)->regs, block, GDB_REGS_BYTES);
    return 0;
}

static int read_memory(void *target, unsigned thread, bool physical, uint64_t at, void *bytes,
                       size_t n)
{
    struct gdb_target_null *t = target;
    if (!range_within(at, n, sizeof(t->memory)))
        return -EFAULT;
    memcpy(bytes, t->memory + at, n);
    return 0;
}

static int write_memory(void *target, unsigned thread, bool physical, uint64_t at,
                        const void *bytes, size_t n)
{
    struct gdb_target_null *t = target;
    if (!range_within(at, n, sizeof(t->memory)))
        return -EFAULT;
    memcpy(t->memory + at, bytes, n);
    return 0;
}

static int insert(void *target, enum gdb_break_kind kind, uint64_t at, unsigned n)
{
    if (kind == GDB_WATCH_READ)
        return -ENOTSUP;
    ((struct gdb_target_null *)target)->breaks++;
    return 0;
}

static int remove_break(void *target, enum gdb_break_kind kind, uint64_t at, unsigned n)
{
    struct gdb_target_null *t = target;
    if (!t->breaks)
        return -ENOENT;
    t->breaks--;
    return 0;
}

static int resume(void *target)
{
    ((struct gdb_target_null *)target)->running = true;
    return 0;
}

static int step(void *target, unsigned thread)
{
    struct gdb_target_null *t = target;
    t->running = true;
    t->steps++;
    t->stepped = thread;
    return 0;
}

static int interrupt(void *target)
{
    ((struct gdb_target_null *)target)->running = false;
    return 0;
}

static int reset(void *target)
{
    ((struct gdb_target_null *)target)->resets++;
    return 0;
}

static void attach(void *target)
{
    struct gdb_target_null *t = target;
    t->attached = true;
    t->running = false;
}

static void detach(void *target)
{
    struct gdb_target_null *t = target;
    t->attached = false;
    t->running = true;
    t->breaks = 0;
}

static void kill_it(void *target)
{
    ((struct gdb_target_null *)target)->killed = true;
}

const struct gdb_target_ops gdb_target_null_ops = {
    .n_threads = n_threads,
    .running = running,
    .read_regs = read_regs,
    .write_regs = write_regs,
    .read_memory = read_memory,
    .write_memory = write_memory,
    .insert = insert,
    .remove = remove_break,
    .resume = resume,
    .step = step,
    .interrupt = interrupt,
    .reset = reset,
    .attach = attach,
    .detach = detach,
    .kill = kill_it,
};
