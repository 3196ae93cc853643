/* Huge pages for a program with much memory that is looked at all over: fewer page faults, and
 * fewer misses of the TLB. */
#ifndef BASE_HUGE_PAGES_H
#define BASE_HUGE_PAGES_H

/* glibc's heaps ask for transparent huge pages if told so at the program's start: so it is started
 * once more, with GLIBC_TUNABLES=glibc.malloc.hugetlb=1. Returns if it has been, if that variable
 * was set already, or where it cannot be. Before anything is opened. Source: glibc manual, "Memory
 * Allocation Tunables". */
void huge_pages_restart(char **argv);

#endif
