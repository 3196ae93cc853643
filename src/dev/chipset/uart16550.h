/* The serial port, a 16550A: what the guest knows as ttyS0 on I/O ports 0x3f8..0x3ff.
 * Source: National Semiconductor PC16550D data sheet; section numbers below are its. */
#ifndef DEV_CHIPSET_UART16550_H
#define DEV_CHIPSET_UART16550_H

#include <stddef.h>
#include <stdint.h>

#include "bus/bus.h"
#include "io/loop.h"
#include "state/state.h"

#define UART16550_FIFO_BYTES 16
#define UART16550_OUT_BYTES  256

struct uart16550_backend {
    /* Takes what the guest sent. In the main thread or a vCPU's, with the device lock held; must
     * not block. */
    void (*output)(void *opaque, const uint8_t *data, size_t len);
    /* The receiver has room again after uart16550_input() refused bytes. Main thread or a vCPU's,
     * device lock held. May be NULL. */
    void (*input_ready)(void *opaque);
    void *opaque;
};

struct uart16550 {
    struct bus *bus;
    struct loop *loop;
    struct bus_region region;
    struct uart16550_backend backend;
    unsigned irq;
    uint8_t ier, iir_fifo, lcr, mcr, lsr, msr, scr, dll, dlm;
    bool thre_pending; /* transmitter-empty interrupt not yet acknowledged (table III) */
    bool timeout_pending;
    unsigned rx_trigger;
    uint8_t rx[UART16550_FIFO_BYTES];
    unsigned rx_first, rx_len;
    bool input_refused;
    /* Sent bytes wait here for the end of the burst, so that a line costs one write. */
    uint8_t out[UART16550_OUT_BYTES];
    unsigned out_len;
    struct loop_post flush;
};

/* Puts the chip on the bus. `loop` is the main thread's. Errors: those of bus_add(). */
int uart16550_init(struct uart16550 *u, struct bus *bus, struct loop *loop, uint16_t port,
                   unsigned irq, const struct uart16550_backend *backend, struct err *err);
/* Delivers what is still buffered and leaves the bus. Threads: as loop_post_cancel(). */
void uart16550_fini(struct uart16550 *u);
void uart16550_reset(struct uart16550 *u);

/* Gives received bytes to the guest; returns how many fitted. Call with the device lock held. */
size_t uart16550_input(struct uart16550 *u, const uint8_t *data, size_t len);
/* Hands buffered output to the back end now. Call with the device lock held. */
void uart16550_flush(struct uart16550 *u);

void uart16550_save(const struct uart16550 *u, struct state_writer *w, unsigned instance);
int uart16550_load(struct uart16550 *u, struct state_reader *r, unsigned instance);

#endif
