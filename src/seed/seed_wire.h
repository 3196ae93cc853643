/* The CD image on the disk, in sectors of 2048 bytes. "Both" is a number little-endian and then
 * big-endian (ECMA-119, 7.2.3 and 7.3.3). Numbers of one byte have no order.
 *
 * Sectors
 *   0      16   nothing (system area)
 *   16     1    primary volume descriptor
 *   17     1    supplementary one, of the Joliet names
 *   18     1    the end of the descriptors
 *   19     4    path tables: primary little-endian, big-endian; Joliet the same
 *   23     1    continuation area: Rock Ridge's ER
 *   24     .    root directory, Joliet's root directory, the files
 *
 * Volume descriptor (8.4, 8.5)
 *   OFFSET SIZE MEANING
 *   0      1    type: 1 primary, 2 supplementary, 255 end
 *   1      5    "CD001"
 *   6      1    version: 1
 *   40     32   name of the volume, padded with spaces
 *   80     8    sectors, both
 *   88     32   escape sequences: "%/E" is UCS-2 level 3, which is Joliet
 *   120    4    volumes in the set, both; 124: number of this one; 128: bytes of a sector
 *   132    8    bytes of a path table, both; 140: where it is; 148: the same, big-endian
 *   156    34   the root directory's record
 *   190    623  who made it, padded with spaces
 *   813    17   dates: made, changed, expires, effective: YYYYMMDDhhmmsscc and a zone
 *   881    1    version of the structure: 1
 *
 * Directory record (9.1)
 *   OFFSET SIZE MEANING
 *   0      1    length of the record, even
 *   2      8    first sector, both
 *   10     8    bytes, both
 *   18     7    date: year - 1900, month, day, hour, minute, second, zone; zeroes: none
 *   25     1    flags: bit 1 a directory
 *   28     4    volume, both
 *   32     1    length of the name
 *   33     .    the name, padded to an even offset; then Rock Ridge's fields
 *
 * Rock Ridge's field (P1281, 4.1): 2 signature, 1 length, 1 version: 1, then
 *   SP     0xbe 0xef, bytes to skip            first in the root's own record
 *   CE     sector, offset, length, all both    where the fields go on
 *   ER     3 lengths, 1, three texts           which extension this is
 *   PX     mode, links, uid, gid, all both     POSIX attributes
 *   NM     flags, the name */
#ifndef SEED_SEED_WIRE_H
#define SEED_SEED_WIRE_H

#define SEED_WIRE_SECTOR     2048u
#define SEED_WIRE_AT_PRIMARY 16u
#define SEED_WIRE_AT_JOLIET  17u
#define SEED_WIRE_AT_END     18u
#define SEED_WIRE_AT_PATHS   19u
#define SEED_WIRE_AT_MORE    23u
#define SEED_WIRE_AT_ROOT    24u
#define SEED_WIRE_RECORD_MAX 255u
#define SEED_WIRE_PATH_BYTES 10u
#define SEED_WIRE_DIRECTORY  2u

#endif
