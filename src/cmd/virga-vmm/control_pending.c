#include "control/control.h"
int control_listen(const char *p, struct err *e)
{
    return err_set(e, 38, "no API yet");
}
struct control *control_create(struct loop *l, const struct control_config *c, struct err *e)
{
    return NULL;
}
void control_destroy(struct control *c)
{
}
void control_event(struct control *c, enum vm_api_event e, const char *d, const char *t)
{
}
