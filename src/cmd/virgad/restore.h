/* `virgad --restore`. */
#ifndef CMD_VIRGAD_RESTORE_H
#define CMD_VIRGAD_RESTORE_H

#include "base/err.h"

/* Puts a copy of a backup in place of the store; what was there is kept beside it. Errors: EBUSY: a
 * server has it open; what the backup is not; those of the file system. The store is as it was
 * then. */
int restore_store(const char *backup, const char *store, struct err *err);

#endif
