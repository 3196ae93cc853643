"""A management server each of whose answers is held to the API's description."""
from .cloud import DESCRIPTION, Cloud
from .tap import check_eq


def operation_of(method, path):
    """The operation that a request means; None: none is described."""
    parts, best = path.split("?")[0].strip("/").split("/"), None
    for m, template, op in DESCRIPTION.operations():
        names = template.strip("/").split("/")
        if m != method.lower() or len(names) != len(parts):
            continue
        if all(n.startswith("{") or n == p for n, p in zip(names, parts)):
            literal = sum(not n.startswith("{") for n in names)
            if not best or literal > best[0]:
                best = (literal, op)
    return best and best[1]


class DescribedCloud(Cloud):
    """A Cloud that checks."""

    def ask(self, method, path, body=None, headers=None, timeout=60):
        """One request, whose answer has to be as described."""
        answer = super().ask(method, path, body, headers, timeout)
        op = operation_of(method, path)
        if op and answer.status != 304:
            media = answer.headers.get("content-type", "").split(";")[0]
            check_eq(DESCRIPTION.answer_errors(op, answer.status, media, answer.body), [], f"{method} {path}: {answer}")
        return answer

    def said_by(self, user, password, method, path, body=None):
        """The same as another user, who signs in for it."""
        kept, answer = self.token, None
        try:
            self.sign_in(user, password)
            answer = self.ask(method, path, body)
        finally:
            self.token = kept
        return answer
