/* CRC-32C (Castagnoli), the checksum of saved VMs: found in one instruction for eight bytes where
 * the CPU has SSE4.2. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what `crc` was the checksum of (0: nothing), followed by these bytes.
 * Spec: RFC 3720, appendix B.4. */
uint32_t crc32c(uint32_t crc, const void *data, size_t bytes);

/* The same without the CPU's instruction: what a CPU without it uses, and tests compare with. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t bytes);

#endif
