#include "base/crc32c.h"

#include "base/util.h"

#define POLYNOMIAL 0x82f63b78u /* 0x1edc6f41, reflected */

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t bytes)
{
    const uint8_t *p = data;
    crc = ~crc;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
    }
    return ~crc;
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *p,
                                                                 size_t bytes)
{
    uint64_t wide = ~crc;
    for (; bytes >= 8; bytes -= 8, p += 8)
        wide = __builtin_ia32_crc32di(wide, le64_read(p));
    uint32_t narrow = (uint32_t)wide;
    for (; bytes; bytes--, p++)
        narrow = __builtin_ia32_crc32qi(narrow, *p);
    return ~narrow;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t bytes)
{
    if (__builtin_cpu_supports("sse4.2"))
        return by_instruction(crc, data, bytes);
    return crc32c_portable(crc, data, bytes);
}
