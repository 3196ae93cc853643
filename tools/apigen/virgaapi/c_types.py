"""The C structs, enums and tables: src/MODULE/gen/NOUN.h and .c, enums.h and .c; MODULE is the model's prefix."""
import textwrap

HEAD = "/* Made by tools/apigen from {source}; do not edit. {what} */\n"
MEMBER = {"TEXT": "struct api_text", "INT": "struct api_int", "NUMBER": "struct api_number", "BOOL": "struct api_bool",
          "MAP": "struct api_map", "ANY": "struct api_any"}


def quote(text):
    """A C string literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def guard(name, prefix="api"):
    """The include guard of a generated header."""
    return f"{prefix}_gen_{name}".upper().replace(".", "_")


def comment(text, indent=""):
    """A comment, wrapped."""
    text = " ".join(text.split()).replace("*/", "* /").replace("/*", "/ *")
    lines = textwrap.wrap(text, 94 - len(indent))
    return indent + "/* " + ("\n" + indent + " * ").join(lines) + " */\n"


def member(m, f):
    """The declaration of a member."""
    if f.kind in MEMBER:
        return f"{MEMBER[f.kind]} {f.member};"
    if f.kind == "ENUM":
        return f"struct {{ enum api_is is; enum {m.enums[f.words].tag} v; }} {f.member};"
    if f.kind == "OBJECT":
        return f"struct {{ enum api_is is; struct {m.structs[f.object].tag} *v; }} {f.member};"
    if f.item_kind == "TEXT":
        return f"struct api_texts {f.member};"
    if f.item_kind == "INT":
        return f"struct api_ints {f.member};"
    inner = f"enum {m.enums[f.words].tag}" if f.item_kind == "ENUM" else f"struct {m.structs[f.object].tag}"
    return f"struct {{ enum api_is is; uint32_t n; {inner} *v; }} {f.member};"


def header(m, noun, structs):
    """NOUN.h"""
    name = f"{noun}.h"
    out = [HEAD.format(source=f"{m.prefix}/{noun}.yaml", what="Structs; src/api/api_types.h tells how they are used."),
           f"#ifndef {guard(name, m.prefix)}\n#define {guard(name, m.prefix)}\n\n",
           f'#include "api/api_types.h"\n#include "{m.prefix}/gen/enums.h"\n\n']
    # Pointers to structs of other files need their names only.
    outside = {m.structs[f.object].tag for s in structs for f in s.fields if f.object} - {s.tag for s in structs}
    out += [f"struct {tag};\n" for tag in sorted(outside)] + (["\n"] if outside else [])
    for s in structs:
        out.append(comment(s.description))
        out.append(f"struct {s.tag} {{\n")
        for f in s.fields:
            out.append(comment(f.description, "    "))
            out.append(f"    {member(m, f)}\n")
        out.append("};\n" f"extern const struct api_types_object {s.symbol};\n\n")
    return "".join(out) + "#endif\n"


def number(value):
    """A double as C reads it."""
    return repr(float(value))


def row(m, s, f):
    """The table row of a field."""
    parts = [quote(f.name), f"offsetof(struct {s.tag}, {f.member})", f"API_KIND_{f.kind}"]
    if f.item_kind:
        parts.append(f".item_kind = API_KIND_{f.item_kind}")
    if f.format:
        parts.append(f".format = API_FORMAT_{f.format.upper()}")
    if f.flags:
        parts.append(".flags = " + " | ".join(f"API_FIELD_{flag}" for flag in f.flags))
    if f.role:
        parts.append(f".role = API_ROLE_{f.role.upper()}")
    if f.max_items is not None:
        parts.append(f".min_items = {f.min_items}, .max_items = {f.max_items}")
    if (f.item_kind or f.kind) == "NUMBER":
        parts.append(f".number_min = {number(f.min)}, .number_max = {number(f.max)}")
    elif f.max is not None:
        parts.append(f".min = {f.min}, .max = {f.max}")
    if f.words:
        parts.append(f".words = &{m.enums[f.words].symbol}")
    if f.object:
        parts.append(f".object = &{m.structs[f.object].symbol}")
    if f.fallback is not None:
        parts.append(f".fallback = {quote(f.fallback)}")
    return "    {" + ", ".join(parts) + "},\n"


def table(m, noun, structs):
    """NOUN.c"""
    nouns = sorted({m.structs[f.object].noun for s in structs for f in s.fields if f.object} |
                   {m.structs[s.base].noun for s in structs if s.base} - {noun})
    out = [HEAD.format(source=f"{m.prefix}/{noun}.yaml", what="Tables of fields."), f'#include "{m.prefix}/gen/{noun}.h"\n\n']
    out += [f'#include "{m.prefix}/gen/{n}.h"\n' for n in nouns if n != noun] + ["\n"]
    for s in structs:
        fields = f"{s.tag[len(m.prefix) + 1:]}_fields"
        out.append(f"static const struct api_types_field {fields}[] = {{\n")
        out += [row(m, s, f) for f in s.fields]
        base = f"&{m.structs[s.base].symbol}" if s.base else "NULL"
        out.append("};\n" f"const struct api_types_object {s.symbol} = {{\n"
                   f"    {quote(s.what)}, sizeof(struct {s.tag}), {len(s.fields)}, {fields}, {base}}};\n\n")
    return "".join(out)


def enums_header(m):
    """enums.h"""
    out = [HEAD.format(source=f"the files of {m.prefix}/", what="Every enum."),
           f"#ifndef {guard('enums.h', m.prefix)}\n#define {guard('enums.h', m.prefix)}\n\n",
           '#include "api/api_types.h"\n\n']
    for e in sorted(m.enums.values(), key=lambda e: e.what):
        out.append(f"enum {e.tag} {{\n" + "".join(f"    {c},\n" for c in e.constants) + f"    {e.tag.upper()}_N\n}};\n"
                   f"extern const struct api_types_enum {e.symbol};\n\n")
    return "".join(out) + "#endif\n"


def enums_table(m):
    """enums.c"""
    out = [HEAD.format(source=f"the files of {m.prefix}/", what="The words of every enum."), f'#include "{m.prefix}/gen/enums.h"\n\n']
    for e in sorted(m.enums.values(), key=lambda e: e.what):
        names = f"{e.tag[len(m.prefix) + 1:]}_names"
        words = textwrap.fill(", ".join(quote(w) for w in e.words), 96, initial_indent="    ", subsequent_indent="    ",
                              break_long_words=False, break_on_hyphens=False)
        out.append(f"static const char *const {names}[] = {{\n{words}}};\n"
                   f"const struct api_types_enum {e.symbol} = {{{quote(e.what)}, {names}, {len(e.words)}}};\n\n")
    return "".join(out)


def all_header(m, nouns):
    """all.h: the lists that tests and tools walk."""
    out = [HEAD.format(source="the files of api/", what="All of them; for what walks over every schema."),
           f"#ifndef {guard('all.h')}\n#define {guard('all.h')}\n\n"]
    out += [f'#include "api/gen/{n}.h"\n' for n in nouns]
    out.append(f"\n#define API_TYPES_OBJECTS {len(m.structs)}\n"
               "extern const struct api_types_object *const api_types_objects[API_TYPES_OBJECTS];\n\n"
               "/* The pattern that the description gives of a format; NULL for API_FORMAT_NONE. */\n"
               "extern const char *const api_types_patterns[API_FORMATS];\n\n")
    return "".join(out) + "#endif\n"


def all_table(m):
    """all.c"""
    out = [HEAD.format(source="the files of api/", what="All of them."), '#include "api/gen/all.h"\n\n',
           "const struct api_types_object *const api_types_objects[API_TYPES_OBJECTS] = {\n"]
    out += [f"    &{s.symbol},\n" for s in sorted(m.structs.values(), key=lambda s: s.what)]
    out.append("};\n\nconst char *const api_types_patterns[API_FORMATS] = {\n")
    out += [f"    [API_FORMAT_{name.upper()}] = {quote(pattern)},\n" for name, (pattern, _) in sorted(m.formats.items())]
    return "".join(out) + "};\n"


def render_structs(m):
    """{file name: text} of structs and enums."""
    out = {"enums.h": enums_header(m), "enums.c": enums_table(m)}
    for noun in sorted({s.noun for s in m.structs.values()}):
        structs = [s for s in m.structs.values() if s.noun == noun]
        out[f"{noun}.h"], out[f"{noun}.c"] = header(m, noun, structs), table(m, noun, structs)
    return out


def render(m):
    """{file name: text}"""
    nouns = sorted({s.noun for s in m.structs.values()})
    return {"all.h": all_header(m, nouns), "all.c": all_table(m), **render_structs(m)}
