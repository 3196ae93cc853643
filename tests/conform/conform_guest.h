/* The guest in which the interpreter runs cases: 64-bit user mode under tables as Linux has them,
 * with the pages of a case at their addresses. An exception goes through the guest's IDT to a
 * handler of its own, so its delivery is compared too. */
#ifndef TESTS_CONFORM_GUEST_H
#define TESTS_CONFORM_GUEST_H

#include "conform.h"
#include "engine/soft/soft_internal.h"

struct conform_guest {
    struct guest_mem mem;
    struct bus bus;
    struct engine_vm *vm;
    struct engine_vcpu *vcpu;
    struct soft_cpu *cpu;
};

bool conform_guest_create(struct conform_guest *g);
/* The bytes of a page of a case. */
uint8_t *conform_guest_page(struct conform_guest *g, unsigned page);
/* Rights and segments of user code of this size. */
void conform_guest_enter(struct conform_guest *g, enum x86_code_mode mode);
/* Whether the guest is in a handler. If so, the exception is put into the result (vector, error,
 * cr2), and the state in the vCPU is again that of the user code. */
bool conform_guest_caught(struct conform_guest *g, struct conform_result *r);

#endif
