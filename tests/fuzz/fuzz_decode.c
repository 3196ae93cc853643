/* The instruction decoder: any bytes, in every mode, never a byte read beyond those that are there.
 */
#include <stdlib.h>

#include "x86/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (enum x86_code_mode mode = X86_CODE16; mode <= X86_CODE64; mode++) {
        struct x86_insn in;
        enum x86_decode_result r = decode_insn(data, size, mode, &in);
        if (r == X86_DECODE_OK &&
            (!in.length || in.length > size || in.length > X86_INSN_MAX_BYTES))
            abort();
        if (in.n_operands > X86_OPERANDS_MAX)
            abort();
    }
    return 0;
}
