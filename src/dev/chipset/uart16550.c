#include "dev/chipset/uart16550.h"

#include <string.h>

#include "base/util.h"

/* Registers by offset (table II). */
enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

#define IER_RX    0x01
#define IER_THRE  0x02
#define IER_LINE  0x04
#define IER_MODEM 0x08

#define IIR_NONE    0x01
#define IIR_MODEM   0x00
#define IIR_THRE    0x02
#define IIR_RX      0x04
#define IIR_LINE    0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFO    0xc0

#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02

#define LCR_DLAB 0x80

#define MCR_DTR  0x01
#define MCR_RTS  0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10

#define LSR_DATA    0x01
#define LSR_OVERRUN 0x02
#define LSR_ERRORS  0x1e
#define LSR_THRE    0x20
#define LSR_TEMT    0x40

#define MSR_DELTAS 0x0f
#define MSR_CTS    0x10
#define MSR_DSR    0x20
#define MSR_RI     0x40
#define MSR_DCD    0x80

static bool fifo_on(const struct uart16550 *u)
{
    return u->iir_fifo == IIR_FIFO;
}

/* The pending interrupt of the highest priority (table III). */
static uint8_t interrupt_id(const struct uart16550 *u)
{
    if ((u->ier & IER_LINE) && (u->lsr & LSR_ERRORS))
        return IIR_LINE;
    if ((u->ier & IER_RX) && u->rx_len) {
        if (!fifo_on(u) || u->rx_len >= u->rx_trigger)
            return IIR_RX;
        if (u->timeout_pending)
            return IIR_TIMEOUT;
    }
    if ((u->ier & IER_THRE) && u->thre_pending)
        return IIR_THRE;
    if ((u->ier & IER_MODEM) && (u->msr & MSR_DELTAS))
        return IIR_MODEM;
    return IIR_NONE;
}

/* OUT2 gates the line on PC hardware, but not in loopback, where it is wired to DCD. */
static void update_irq(struct uart16550 *u)
{
    bool gate = (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
    bus_irq_set(u->bus, u->irq, gate && interrupt_id(u) != IIR_NONE);
}

static void receive(struct uart16550 *u, uint8_t byte)
{
    unsigned room = fifo_on(u) ? UART16550_FIFO_BYTES : 1;
    if (u->rx_len >= room) {
        u->lsr |= LSR_OVERRUN;
        return;
    }
    u->rx[(u->rx_first + u->rx_len++) % UART16550_FIFO_BYTES] = byte;
    u->lsr |= LSR_DATA;
    /* The character time-out of a quiet line (8.0) is reported at once: nothing else is on its way
     * as far as the guest can tell. */
    u->timeout_pending = true;
}

static void clear_rx(struct uart16550 *u)
{
    u->rx_first = u->rx_len = 0;
    u->timeout_pending = false;
    u->lsr &= (uint8_t)~LSR_DATA;
}

static void offer_input(struct uart16550 *u)
{
    if (u->input_refused && !u->rx_len) {
        u->input_refused = false;
        if (u->backend.input_ready)
            u->backend.input_ready(u->backend.opaque);
    }
}

static uint8_t read_data(struct uart16550 *u)
{
    if (!u->rx_len)
        return 0;
    uint8_t byte = u->rx[u->rx_first];
    u->rx_first = (u->rx_first + 1) % UART16550_FIFO_BYTES;
    if (!--u->rx_len)
        clear_rx(u);
    offer_input(u);
    return byte;
}

void uart16550_flush(struct uart16550 *u)
{
    if (u->out_len && u->backend.output)
        u->backend.output(u->backend.opaque, u->out, u->out_len);
    u->out_len = 0;
}

static void flush_posted(struct loop_post *p)
{
    struct uart16550 *u = p->opaque;
    bus_lock(u->bus);
    uart16550_flush(u);
    bus_unlock(u->bus);
}

static void transmit(struct uart16550 *u, uint8_t byte)
{
    if (u->mcr & MCR_LOOP) {
        receive(u, byte);
    } else {
        u->out[u->out_len++] = byte;
        if (u->out_len == sizeof(u->out))
            uart16550_flush(u);
        else if (u->out_len == 1)
            loop_post(u->loop, &u->flush);
    }
    /* The byte has left at once: the holding register is empty again, which is a new interrupt. */
    u->thre_pending = true;
}

/* In loopback the modem outputs feed the inputs (8.6). */
static uint8_t modem_inputs(const struct uart16550 *u)
{
    if (!(u->mcr & MCR_LOOP))
        return MSR_CTS | MSR_DSR | MSR_DCD;
    return (uint8_t)((u->mcr & MCR_DTR ? MSR_DSR : 0) | (u->mcr & MCR_RTS ? MSR_CTS : 0) |
                     (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0));
}

static void write_mcr(struct uart16550 *u, uint8_t value)
{
    u->mcr = value & 0x1f;
    uint8_t now = modem_inputs(u), changed = (u->msr ^ now) & 0xf0;
    if (!(now & MSR_RI) && (u->msr & MSR_RI))
        changed |= MSR_RI; /* only the trailing edge of RI counts */
    else
        changed &= (uint8_t)~MSR_RI;
    u->msr = (uint8_t)(now | (u->msr & MSR_DELTAS) | (changed >> 4));
    if (!(u->mcr & MCR_LOOP))
        offer_input(u);
}

static void write_fcr(struct uart16550 *u, uint8_t value)
{
    static const uint8_t triggers[] = {1, 4, 8, 14};
    bool enable = value & FCR_ENABLE;
    if (enable != fifo_on(u) || (value & FCR_CLEAR_RX))
        clear_rx(u);
    u->iir_fifo = enable ? IIR_FIFO : 0;
    u->rx_trigger = enable ? triggers[value >> 6] : 1;
    offer_input(u);
}

static uint64_t reg_read(void *opaque, uint64_t offset, unsigned size)
{
    struct uart16550 *u = opaque;
    uint8_t value = 0;
    switch (offset) {
    case REG_DATA:
        value = u->lcr & LCR_DLAB ? u->dll : read_data(u);
        break;
    case REG_IER:
        value = u->lcr & LCR_DLAB ? u->dlm : u->ier;
        break;
    case REG_IIR_FCR:
        value = interrupt_id(u);
        if (value == IIR_THRE)
            u->thre_pending = false;
        value |= u->iir_fifo;
        break;
    case REG_LCR:
        value = u->lcr;
        break;
    case REG_MCR:
        value = u->mcr;
        break;
    case REG_LSR:
        value = u->lsr | LSR_THRE | LSR_TEMT;
        u->lsr &= (uint8_t)~LSR_ERRORS;
        break;
    case REG_MSR:
        value = u->msr;
        u->msr &= (uint8_t)~MSR_DELTAS;
        break;
    case REG_SCR:
        value = u->scr;
        break;
    }
    update_irq(u);
    return value;
}

static void reg_write(void *opaque, uint64_t offset, unsigned size, uint64_t value64)
{
    struct uart16550 *u = opaque;
    uint8_t value = (uint8_t)value64;
    switch (offset) {
    case REG_DATA:
        if (u->lcr & LCR_DLAB)
            u->dll = value;
        else
            transmit(u, value);
        break;
    case REG_IER:
        if (u->lcr & LCR_DLAB) {
            u->dlm = value;
            break;
        }
        /* Enabling the transmitter interrupt while it is empty raises it (8.4). */
        if (!(u->ier & IER_THRE) && (value & IER_THRE))
            u->thre_pending = true;
        u->ier = value & 0x0f;
        break;
    case REG_IIR_FCR:
        write_fcr(u, value);
        break;
    case REG_LCR:
        u->lcr = value;
        break;
    case REG_MCR:
        write_mcr(u, value);
        break;
    case REG_SCR:
        u->scr = value;
        break;
    }
    update_irq(u);
}

static const struct bus_region_ops region_ops = {.read = reg_read, .write = reg_write};

static void power_on(struct uart16550 *u)
{
    u->ier = u->iir_fifo = u->lcr = u->mcr = u->lsr = u->scr = u->dlm = 0;
    u->dll = 1;
    u->rx_trigger = 1;
    u->thre_pending = false;
    clear_rx(u);
    u->msr = modem_inputs(u);
}

int uart16550_init(struct uart16550 *u, struct bus *bus, struct loop *loop, uint16_t port,
                   unsigned irq, const struct uart16550_backend *backend, struct err *err)
{
    memset(u, 0, sizeof(*u));
    u->bus = bus;
    u->loop = loop;
    u->irq = irq;
    if (backend)
        u->backend = *backend;
    u->flush = (struct loop_post){.run = flush_posted, .opaque = u};
    u->region = (struct bus_region){.name = "uart16550",
                                    .base = port,
                                    .size = 8,
                                    .ops = &region_ops,
                                    .opaque = u,
                                    .bytewise = true};
    power_on(u);
    return bus_add(bus, BUS_PIO, &u->region, err);
}

void uart16550_fini(struct uart16550 *u)
{
    if (!u->bus)
        return;
    uart16550_flush(u);
    loop_post_cancel(u->loop, &u->flush);
    bus_remove(u->bus, BUS_PIO, &u->region);
    u->bus = NULL;
}

void uart16550_reset(struct uart16550 *u)
{
    uart16550_flush(u);
    power_on(u);
    update_irq(u);
    offer_input(u);
}

size_t uart16550_input(struct uart16550 *u, const uint8_t *data, size_t len)
{
    unsigned room = fifo_on(u) ? UART16550_FIFO_BYTES : 1;
    size_t taken = 0;
    /* In loopback the line is cut off from the receiver (8.6): input waits. */
    while (taken < len && u->rx_len < room && !(u->mcr & MCR_LOOP))
        receive(u, data[taken++]);
    u->input_refused = taken < len;
    update_irq(u);
    return taken;
}

#define STATE_VERSION 1

void uart16550_save(const struct uart16550 *u, struct state_writer *w, unsigned instance)
{
    const uint8_t regs[] = {u->ier,
                            u->iir_fifo,
                            u->lcr,
                            u->mcr,
                            u->lsr,
                            u->msr,
                            u->scr,
                            u->dll,
                            u->dlm,
                            u->thre_pending,
                            u->timeout_pending,
                            (uint8_t)u->rx_trigger,
                            (uint8_t)u->rx_len};
    state_begin(w, "uart16550", instance, STATE_VERSION);
    state_put_bytes(w, regs, sizeof(regs));
    for (unsigned i = 0; i < u->rx_len; i++)
        state_put_u8(w, u->rx[(u->rx_first + i) % UART16550_FIFO_BYTES]);
    state_end(w);
}

int uart16550_load(struct uart16550 *u, struct state_reader *r, unsigned instance)
{
    if (state_open(r, "uart16550", instance, STATE_VERSION) < 0)
        return -r->err.code;
    uint8_t *const regs[] = {&u->ier, &u->iir_fifo, &u->lcr, &u->mcr, &u->lsr,
                             &u->msr, &u->scr,      &u->dll, &u->dlm};
    for (unsigned i = 0; i < ARRAY_LEN(regs); i++)
        *regs[i] = state_get_u8(r);
    u->thre_pending = state_get_u8(r);
    u->timeout_pending = state_get_u8(r);
    u->rx_trigger = state_get_u8(r);
    unsigned len = state_get_u8(r);
    if (len > UART16550_FIFO_BYTES || (u->iir_fifo && u->iir_fifo != IIR_FIFO))
        state_invalid(r, "uart16550 has %u bytes in a FIFO of %d", len, UART16550_FIFO_BYTES);
    u->rx_first = 0;
    u->rx_len = r->err.code ? 0 : len;
    for (unsigned i = 0; i < u->rx_len; i++)
        u->rx[i] = state_get_u8(r);
    int ret = state_close(r);
    if (!ret)
        update_irq(u);
    return ret;
}
