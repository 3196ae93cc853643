"""Reads api/*.yaml strictly: a key that is given twice, or that nobody would look at, is an error."""
import glob
import os

import yaml


class ApiError(Exception):
    """Something in the description is wrong; the text says what and where."""


class StrictLoader(yaml.SafeLoader):
    """A loader that refuses a mapping with the same key twice; plain YAML keeps the last and says nothing."""

    def construct_mapping(self, node, deep=False):
        """A mapping, each key once."""
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if key in seen:
                raise ApiError(f"{key_node.start_mark.name}:{key_node.start_mark.line + 1}: {key} is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


COMMON_KEYS = {"info", "servers", "schemas", "meta", "path-parameters", "list-parameters", "dry-run-parameters",
               "header-parameters", "response-headers"}
NOUN_KEYS = {"noun", "description", "resources", "schemas", "paths"}


def read_yaml(path):
    """The mapping in one file."""
    with open(path, encoding="utf-8") as f:
        try:
            text = yaml.load(f, StrictLoader)  # noqa: S506  (a SafeLoader)
        except yaml.YAMLError as e:
            raise ApiError(f"{path}: {e}") from e
    if not isinstance(text, dict):
        raise ApiError(f"{path}: not a mapping")
    return text


def only_keys(path, mapping, allowed):
    """Refuses keys that mean nothing."""
    unknown = sorted(set(mapping) - allowed)
    if unknown:
        raise ApiError(f"{path}: unknown key {', '.join(unknown)}; known: {', '.join(sorted(allowed))}")


def load(folder):
    """(common, problems, [noun files in the order of their names])"""
    common = read_yaml(os.path.join(folder, "common.yaml"))
    only_keys("common.yaml", common, COMMON_KEYS)
    problems = read_yaml(os.path.join(folder, "problems.yaml"))
    only_keys("problems.yaml", problems, {"problems"})
    nouns = []
    for path in sorted(glob.glob(os.path.join(folder, "*.yaml"))):
        name = os.path.basename(path)
        if name in ("common.yaml", "problems.yaml"):
            continue
        noun = read_yaml(path)
        only_keys(name, noun, NOUN_KEYS)
        if noun.get("noun") != name[:-len(".yaml")]:
            raise ApiError(f"{name}: noun is {noun.get('noun')}, the file's name says otherwise")
        nouns.append(noun)
    return common, problems["problems"], nouns


def load_link(folder):
    """The files of link/ in the order of their names."""
    files = []
    for path in sorted(glob.glob(os.path.join(folder, "*.yaml"))):
        name = os.path.basename(path)
        text = read_yaml(path)
        only_keys(name, text, {"file", "description", "schemas"})
        if text.get("file") != name[:-len(".yaml")]:
            raise ApiError(f"{name}: file is {text.get('file')}, its name says otherwise")
        files.append(text)
    return files
