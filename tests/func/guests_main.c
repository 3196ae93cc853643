/* Which engines there are, and the arguments of the programs that run guests on one of them. */
#include <stdio.h>
#include <string.h>

#include "engine/kvm/kvm_engine.h"
#include "engine/soft/soft_engine.h"
#include "guests_harness.h"

const struct engine *const pc_engines[] = {&kvm_engine, &soft_engine, NULL};

const struct engine *pc_from_args(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s ENGINE GUEST-DIR\n", argv[0]);
        return NULL;
    }
    for (unsigned i = 0; pc_engines[i]; i++) {
        if (strcmp(engine_name(pc_engines[i]), argv[1]) == 0) {
            pc_setup(pc_engines[i], argv[2]);
            return pc_engines[i];
        }
    }
    fprintf(stderr, "there is no engine '%s'\n", argv[1]);
    return NULL;
}
