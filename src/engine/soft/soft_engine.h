/* The software CPU engine: guest instructions are interpreted in user space, with no privileges. */
#ifndef ENGINE_SOFT_SOFT_ENGINE_H
#define ENGINE_SOFT_SOFT_ENGINE_H

#include "engine/engine.h"

extern const struct engine soft_engine;

#endif
