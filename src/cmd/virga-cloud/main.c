/* virga-cloud: what `virga` becomes for the commands of the cloud. */
#include "cli/cloud/cloud.h"

int main(int argc, char **argv)
{
    return cloud_main(argc, argv);
}
