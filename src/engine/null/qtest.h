/* A server for QEMU's qtest protocol: lines of text on a stream socket that read and write a VM's
 * ports and memory, step its clock and report its interrupts, so that test suites and fuzzers
 * written for QEMU can drive our devices. The VM is one of the null engine; its loop has a fake
 * clock. Spec: QEMU docs/devel/testing/qtest, "qtest protocol".
 *
 *   outb|outw|outl ADDR VALUE            OK
 *   inb|inw|inl ADDR                     OK VALUE
 *   writeb|writew|writel|writeq ADDR V   OK
 *   readb|readw|readl|readq ADDR         OK VALUE
 *   read ADDR SIZE                       OK 0xHEX          write ADDR SIZE 0xHEX     OK
 *   b64read ADDR SIZE                    OK BASE64         b64write ADDR SIZE BASE64 OK
 *   memset ADDR SIZE VALUE               OK
 *   clock_step [NS]                      OK NOW            clock_set NS              OK NOW
 *   endianness                           OK little
 *   irq_intercept_in ioapic              OK; from then on "IRQ raise|lower PIN" instead of lines
 *                                        reaching the interrupt controllers
 *   irq_intercept_out ioapic             OK; from then on "IRQ raise VECTOR" and "IRQ lower VECTOR"
 *                                        for each MSI
 *
 * Anything else is answered "FAIL reason". Only for tests: a peer that does not read its answers
 * blocks the loop. */
#ifndef ENGINE_NULL_QTEST_H
#define ENGINE_NULL_QTEST_H

#include "engine/engine.h"
#include "io/loop.h"

struct qtest;

/* Serves `fd`, a connected stream socket that becomes the server's, from `loop`. `closed` (may be
 * NULL) is told once when the peer has gone. */
struct qtest *qtest_create(struct engine_vm *vm, struct loop *loop, int fd,
                           void (*closed)(void *opaque), void *opaque, struct err *err);
/* The loop's thread. NULL is allowed. */
void qtest_destroy(struct qtest *q);

/* Answers one line (without its newline) as if it had come from the socket. */
void qtest_line(struct qtest *q, char *line);

#endif
