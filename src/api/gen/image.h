/* Made by tools/apigen from api/image.yaml; do not edit. Structs; src/api/api_types.h tells how they are used. */
#ifndef API_GEN_IMAGE_H
#define API_GEN_IMAGE_H

#include "api/api_types.h"
#include "api/gen/enums.h"

/* What a first disk is made from. Its content never changes once it is ready. */
struct api_image {
    /* The id; never changes and is never used again. */
    struct api_text id;
    /* The project that owns it. */
    struct api_text project;
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Where its content comes from. */
    struct { enum api_is is; struct api_image_source *v; } source;
    /* public: every project may use it (operators only). */
    struct { enum api_is is; enum api_image_visibility v; } visibility;
    /* What runs from it. */
    struct { enum api_is is; enum api_image_os v; } os;
    /* The smallest disk that it fits on. */
    struct api_int min_disk_gib;
    /* The least memory that it runs with. */
    struct api_int min_memory_mib;
    /* Refuse to delete it. */
    struct api_bool delete_protection;
    /* Lists warn of it; VMs can still be made. */
    struct api_bool deprecated;
    /* What is. */
    struct { enum api_is is; struct api_image_status *v; } status;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_image;

/* Where an image's content comes from. */
struct api_image_source {
    /* upload: sent by the client; url: fetched; file: in the server's import folder; debian:
     * built here; the others: copied. */
    struct { enum api_is is; enum api_image_source_kind v; } kind;
    /* The format of what is imported. */
    struct { enum api_is is; enum api_image_format v; } format;
    /* Of kind url: where to fetch it. */
    struct api_text url;
    /* Of kind file: its name in the import folder. */
    struct api_text file;
    /* The checksum that the content must have. */
    struct api_text sha256;
    /* Of kind upload: how much will come. */
    struct api_int size_bytes;
    /* Of kind vm, volume, snapshot: which one. */
    struct api_text resource;
    /* Of kind debian: what to build. */
    struct { enum api_is is; struct api_image_debian *v; } debian;
};
extern const struct api_types_object api_types_image_source;

/* A Debian image to build. */
struct api_image_debian {
    /* The release. */
    struct { enum api_is is; enum api_image_debian_suite v; } suite;
    /* The disk's size. */
    struct api_int size_gib;
    /* Further packages. */
    struct api_texts packages;
    /* With cloud-init. */
    struct api_bool cloud_init;
};
extern const struct api_types_object api_types_image_debian;

/* What is true of an image now. */
struct api_image_status {
    /* Its state. */
    struct { enum api_is is; enum api_image_status_state v; } state;
    /* Why it failed, or what it waits for. */
    struct api_text reason;
    /* What the content was. */
    struct { enum api_is is; enum api_image_format v; } format;
    /* Bytes stored. */
    struct api_int size_bytes;
    /* The size that a guest sees. */
    struct api_int virtual_size_bytes;
    /* How much of the import has come. */
    struct api_int received_bytes;
    /* The checksum of the content as it came. */
    struct api_text sha256;
    /* The operation that is under way. */
    struct api_text operation;
    /* Volumes that still need it. */
    struct api_int users;
};
extern const struct api_types_object api_types_image_status;

/* What can be said when it is created: What a first disk is made from. Its content never changes
 * once it is ready. */
struct api_image_create {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Where its content comes from. */
    struct { enum api_is is; struct api_image_source *v; } source;
    /* public: every project may use it (operators only). */
    struct { enum api_is is; enum api_image_visibility v; } visibility;
    /* What runs from it. */
    struct { enum api_is is; enum api_image_os v; } os;
    /* The smallest disk that it fits on. */
    struct api_int min_disk_gib;
    /* The least memory that it runs with. */
    struct api_int min_memory_mib;
    /* Refuse to delete it. */
    struct api_bool delete_protection;
    /* Lists warn of it; VMs can still be made. */
    struct api_bool deprecated;
};
extern const struct api_types_object api_types_image_create;

/* What can be changed: What a first disk is made from. Its content never changes once it is
 * ready. */
struct api_image_patch {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* public: every project may use it (operators only). */
    struct { enum api_is is; enum api_image_visibility v; } visibility;
    /* What runs from it. */
    struct { enum api_is is; enum api_image_os v; } os;
    /* The smallest disk that it fits on. */
    struct api_int min_disk_gib;
    /* The least memory that it runs with. */
    struct api_int min_memory_mib;
    /* Refuse to delete it. */
    struct api_bool delete_protection;
    /* Lists warn of it; VMs can still be made. */
    struct api_bool deprecated;
};
extern const struct api_types_object api_types_image_patch;

/* A page of images. */
struct api_image_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_image *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_image_list;

/* The query of image_upload. */
struct api_image_upload_query {
    /* Where this part begins; received_bytes of the image. */
    struct api_int offset_bytes;
};
extern const struct api_types_object api_types_image_upload_query;

#endif
