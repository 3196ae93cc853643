/* Made by tools/apigen from api/common.yaml; do not edit. Tables of fields. */
#include "api/gen/common.h"

#include "api/gen/placement.h"

static const struct api_types_field problem_fields[] = {
    {"type", offsetof(struct api_problem, type), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 255},
    {"title", offsetof(struct api_problem, title), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 255},
    {"status", offsetof(struct api_problem, status), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 400, .max = 599},
    {"detail", offsetof(struct api_problem, detail), API_KIND_TEXT, .min = 0, .max = 1023},
    {"instance", offsetof(struct api_problem, instance), API_KIND_TEXT, .min = 0, .max = 255},
    {"code", offsetof(struct api_problem, code), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_problem_code},
    {"request_id", offsetof(struct api_problem, request_id), API_KIND_TEXT, .min = 0, .max = 63},
    {"retry_after_s", offsetof(struct api_problem, retry_after_s), API_KIND_INT, .min = 0, .max = 86400},
    {"errors", offsetof(struct api_problem, errors), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 16, .object = &api_types_problem_error},
    {"explanation", offsetof(struct api_problem, explanation), API_KIND_OBJECT, .object = &api_types_placement},
};
const struct api_types_object api_types_problem = {
    "Problem", sizeof(struct api_problem), 10, problem_fields, NULL};

static const struct api_types_field problem_error_fields[] = {
    {"pointer", offsetof(struct api_problem_error, pointer), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 255},
    {"detail", offsetof(struct api_problem_error, detail), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 511},
};
const struct api_types_object api_types_problem_error = {
    "ProblemError", sizeof(struct api_problem_error), 2, problem_error_fields, NULL};

static const struct api_types_field list_query_fields[] = {
    {"limit", offsetof(struct api_list_query, limit), API_KIND_INT, .min = 1, .max = 1000, .fallback = "100"},
    {"cursor", offsetof(struct api_list_query, cursor), API_KIND_TEXT, .min = 0, .max = 2047},
    {"filter", offsetof(struct api_list_query, filter), API_KIND_TEXT, .min = 0, .max = 2047},
    {"sort", offsetof(struct api_list_query, sort), API_KIND_TEXT, .min = 0, .max = 255},
    {"fields", offsetof(struct api_list_query, fields), API_KIND_TEXT, .min = 0, .max = 1023},
};
const struct api_types_object api_types_list_query = {
    "ListQuery", sizeof(struct api_list_query), 5, list_query_fields, NULL};

