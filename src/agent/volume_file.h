/* Volumes as image files in a directory of the host:
 *
 *   volumes/ID.raw, volumes/ID.qcow2   what guests write
 *   snapshots/ID.*                     what volumes held once
 *   images/ID.*                        what was imported
 *   new/ID.*                           being made; swept when the driver is opened
 *
 * A name has exactly one of the two endings, which is the file's format. A file gets its name by
 * rename(2) once it is whole and synced, and loses it by being moved to new/, so there are no half
 * files; what needs two steps (a snapshot without reflink) is finished or undone by the next open.
 * Where the file system shares extents (reflink) a raw copy is a clone; elsewhere it is a qcow2
 * over what it is made of. */
#ifndef AGENT_VOLUME_FILE_H
#define AGENT_VOLUME_FILE_H

#include "agent/volume_driver.h"

/* Makes what is missing of the directories, finishes or undoes what a crash left.
 * Errors: those of the file system, naming the path. Blocks. */
struct volume_driver *volume_file_open(const char *dir, struct err *err);

#endif
