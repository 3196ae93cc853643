/* What a guest of the `null` engine does: accesses to ports and memory, and EOIs, as calls. */
#include "engine/null/null_engine_internal.h"

uint32_t null_engine_in(struct engine_vm *vm, uint16_t port, unsigned size)
{
    uint8_t data[4] = {0};
    bus_access_read(vm->config.bus, BUS_PIO, port, data, MIN(size, 4));
    return le32_read(data);
}

void null_engine_out(struct engine_vm *vm, uint16_t port, unsigned size, uint32_t value)
{
    uint8_t data[4];
    le32_write(data, value);
    bus_access_write(vm->config.bus, BUS_PIO, port, data, MIN(size, 4));
}

uint64_t null_engine_read(struct engine_vm *vm, uint64_t gpa, unsigned size)
{
    uint8_t data[8] = {0};
    size = MIN(size, 8);
    if (guest_mem_read(vm->config.mem, gpa, data, size) < 0)
        engine_mmio(vm->config.bus, gpa, data, size, false);
    return le64_read(data);
}

/* Notes a guest write of at most 8 bytes. */
static void log_write(struct null_vm *vm, uint64_t gpa, unsigned size)
{
    const struct guest_mem *mem = vm->base.config.mem;
    pthread_mutex_lock(&vm->lock);
    for (unsigned i = 0; i < mem->n_regions; i++) {
        const struct guest_mem_region *r = &mem->regions[i];
        for (uint64_t at = gpa; vm->dirty[i] && at < gpa + size; at++) {
            if (at - r->gpa >= r->size_bytes)
                continue;
            uint64_t page = (at - r->gpa) / GUEST_MEM_PAGE_BYTES;
            vm->dirty[i][page / 64] |= UINT64_C(1) << (page % 64);
        }
    }
    pthread_mutex_unlock(&vm->lock);
}

void null_engine_write(struct engine_vm *vm, uint64_t gpa, unsigned size, uint64_t value)
{
    uint8_t data[8];
    size = MIN(size, 8);
    le64_write(data, value);
    if (guest_mem_contiguous(vm->config.mem, gpa) >= size) {
        memcpy(guest_mem_ptr(vm->config.mem, gpa, size), data, size);
        log_write(null_engine_vm(vm), gpa, size);
    } else {
        engine_mmio(vm->config.bus, gpa, data, size, true);
    }
}

void null_engine_eoi(struct engine_vm *vm, uint8_t vector)
{
    if (vm->config.irqchip)
        vm->config.irqchip->eoi(vm->config.irqchip_opaque, vector);
}
