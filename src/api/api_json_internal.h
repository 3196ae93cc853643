/* What the reader, the checker and query parameters share: where a value is, and whether it is
 * allowed. */
#ifndef API_API_JSON_INTERNAL_H
#define API_API_JSON_INTERNAL_H

#include "api/api_json.h"

/* A JSON pointer that grows and shrinks as the reader goes. Too long a one is cut. */
struct api_json_place {
    char text[192];
    size_t bytes;
};
/* Both return what to give to _pop(). */
size_t api_json_place_key(struct api_json_place *p, const char *key);
size_t api_json_place_index(struct api_json_place *p, size_t i);
void api_json_place_pop(struct api_json_place *p, size_t before);

struct api_json_checker {
    struct api_refusal *refusal;
    enum api_problem_code code;
    struct api_json_place place;
    bool lenient; /* bounds are not looked at */
    bool secret;  /* the value may not be shown */
};

/* Each says what is wrong with a value at the checker's place; 0: nothing. */
int api_json_check_text(struct api_json_checker *c, enum api_types_format format, int64_t min,
                        int64_t max, const char *text);
int api_json_check_int(struct api_json_checker *c, const struct api_types_field *f, int64_t v);
int api_json_check_number(struct api_json_checker *c, const struct api_types_field *f, double v);
int api_json_check_count(struct api_json_checker *c, const struct api_types_field *f, size_t n);
/* The index of a word in the field's enum, or what api_problem_add() returned. */
int api_json_check_word(struct api_json_checker *c, const struct api_types_field *f,
                        const char *word, int *value);
int api_json_missing(struct api_json_checker *c, const struct api_types_field *f);

#endif
