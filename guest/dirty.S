/* Writes to pages 0x40, 0x42 and 0x80, twice with a question to the test before each. */
#include "guest.inc"
    .code64
    .text
    ask     1
    movb    $1, 0x40000
    movb    $1, 0x42fff
    movb    $1, 0x80008
    ask     2
    movb    $2, 0x42000
    exit    0
