/* Input of the vhost-user fuzz targets: a list of messages.
 *   OFFSET  SIZE  MEANING
 *   0       1     request
 *   1       1     flags of the message (low 4 bits; 0: version 1, as a polite peer sends)
 *   2       1     descriptors to attach: 4 bits how many, 4 bits which first
 *   3       2     size of the payload that follows, little-endian; at most 320 */
#ifndef TESTS_FUZZ_VHU_SCRIPT_H
#define TESTS_FUZZ_VHU_SCRIPT_H

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/util.h"
#include "vhu/vhu_wire.h"

#define VHU_SCRIPT_HEADER 5
#define VHU_SCRIPT_MAX    64 /* messages */

/* Sends the next message of *data, with descriptors out of fds[n_fds]. Returns false at the end. */
static inline bool vhu_script_send(int sock, const uint8_t **data, size_t *size, uint32_t polite,
                                   const int *fds, unsigned n_fds)
{
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(15 * sizeof(int))];
    } control = {0};
    const uint8_t *p = *data;
    if (*size < VHU_SCRIPT_HEADER)
        return false;
    size_t len = MIN(MIN(le16_read(p + 3), 320u), *size - VHU_SCRIPT_HEADER);
    uint32_t flags = p[1] & 15 ? p[1] & 15 : polite;
    struct vhu_header h = {p[0], flags, (uint32_t)len};
    struct iovec iov[2] = {{&h, sizeof(h)}, {(void *)(p + VHU_SCRIPT_HEADER), len}};
    struct msghdr mh = {.msg_iov = iov, .msg_iovlen = 2};
    unsigned count = p[2] & 15;
    if (count) {
        mh.msg_control = control.bytes;
        mh.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof(int));
        for (unsigned i = 0; i < count; i++)
            memcpy(CMSG_DATA(c) + i * sizeof(int), &fds[((p[2] >> 4) + i) % n_fds], sizeof(int));
    }
    *data += VHU_SCRIPT_HEADER + len;
    *size -= VHU_SCRIPT_HEADER + len;
    return sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

#endif
