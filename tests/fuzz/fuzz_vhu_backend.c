/* A front end that says anything, to a back end that completes every request it can take. The first
 * bytes of the input are guest memory, the rest messages. */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "vhu/vhu_backend.h"
#include "vhu_script.h"

#define MEM_BYTES 65536
#define MEM_INPUT 256 /* input bytes that are memory: the rings at its start */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vhu_backend *backend;

static void config_read(void *opaque, uint32_t off, void *buf, uint32_t len)
{
    memset(buf, 0x11, len);
}

static int config_write(void *opaque, uint32_t off, const void *buf, uint32_t len)
{
    return 0;
}

static void ring_kick(void *opaque, unsigned ring)
{
    struct iovec iov[32];
    uint64_t in_gpa[32];
    struct virtq_chain c = {.iov = iov, .in_gpa = in_gpa, .iov_max = 32};
    for (int i = 0; i < 300 && vhu_backend_pop(backend, ring, &c) > 0; i++) {
        for (unsigned k = 0; k < c.n_in; k++)
            memset(iov[c.n_out + k].iov_base, 0x22, MIN(iov[c.n_out + k].iov_len, 64));
        if (i % 7 == 3) {
            vhu_backend_unpop(backend, ring, &c);
            break;
        }
        vhu_backend_push(backend, ring, &c, c.in_bytes);
    }
    vhu_backend_flush(backend, ring);
    if (vhu_backend_ring_live(backend, ring))
        virtq_enable_kicks(vhu_backend_vq(backend, ring));
}

static void closed(void *opaque, const struct err *why)
{
    vhu_backend_destroy(backend);
    backend = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct vhu_backend_ops ops = {.config_read = config_read,
                                               .config_write = config_write,
                                               .ring_kick = ring_kick,
                                               .closed = closed};
    static struct loop *loop;
    int pair[2];
    if (!loop && !(loop = loop_create(0, NULL)))
        return 0;
    if (size < MEM_INPUT || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return 0;
    int mem = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int event = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (mem < 0 || event < 0 || ftruncate(mem, MEM_BYTES) < 0 ||
        fcntl(mem, F_ADD_SEALS, F_SEAL_SHRINK) < 0 || pwrite(mem, data, MEM_INPUT, 0) < 0)
        goto out;
    data += MEM_INPUT;
    size -= MEM_INPUT;
    struct vhu_backend_config config = {.ops = &ops,
                                        .features = UINT64_C(1) << 34 | UINT64_C(1) << 32 |
                                                    UINT64_C(3) << 28,
                                        .n_rings = 4,
                                        .config_bytes = 60,
                                        .flags = VHU_BACKEND_INFLIGHT | VHU_BACKEND_DEMAND_SEALS};
    backend = vhu_backend_create(loop, pair[1], &config, NULL);
    pair[1] = -1;
    const int fds[2] = {mem, event};
    for (int i = 0; i < VHU_SCRIPT_MAX && backend; i++) {
        char answer[4096];
        if (!vhu_script_send(pair[0], &data, &size, VHU_VERSION | VHU_FLAG_NEED_REPLY, fds, 2))
            break;
        loop_run_once(loop, 0);
        while (recv(pair[0], answer, sizeof(answer), MSG_DONTWAIT) > 0)
            ;
    }
    shutdown(pair[0], SHUT_RDWR);
    for (int i = 0; i < 8 && backend; i++)
        loop_run_once(loop, 0);
    vhu_backend_destroy(backend);
    backend = NULL;
out:
    close(pair[0]);
    if (pair[1] >= 0)
        close(pair[1]);
    if (mem >= 0)
        close(mem);
    if (event >= 0)
        close(event);
    return 0;
}
