/* The software CPU engine: guest instructions are interpreted in user space, with no privileges. */
#ifndef ENGINE_SOFT_SOFT_ENGINE_H
#define ENGINE_SOFT_SOFT_ENGINE_H

#include "engine/engine.h"

extern const struct engine soft_engine;

/* Instructions that a vCPU has executed, about. While it is not inside engine_vcpu_run(). */
uint64_t soft_engine_insns(struct engine_vcpu *vcpu);

#endif
