/* The state of a saved VM that says anything, loaded into a machine on the null engine, which then
 * goes on if it was taken. */
#include "../unit/machine/machine_fixture.h"
#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fixture f;
    struct err err = {0};
    struct state_reader r;
    log_setup(-1, LOG_ERROR, NULL);
    fixture_init(&f);
    f.config.vsock.cid = 7;
    f.config.vsock.path = strdup("vsock");
    if (!fixture_create(&f))
        abort();
    state_reader_init(&r, data, size);
    int ret = machine_load(f.machine, &r, &err);
    if (!ret != !err.code || (ret && !err.msg[0]))
        abort();
    if (!ret) {
        machine_resume(f.machine, NULL);
        loop_run_once(f.loop, 0);
    }
    fixture_fini(&f);
    return 0;
}
