/* The cloud's settings, for everybody. */
#ifndef MGMT_SERVER_SERVER_SYSTEM_H
#define MGMT_SERVER_SERVER_SYSTEM_H

struct api_settings;
struct server;

/* As they are now, with all defaults; borrowed until they change. NULL: the store holds none. */
const struct api_settings *server_system_settings(struct server *s);

#endif
